"""The arrays predict what scikit-learn's trees predict."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from kickbert.tabular import trees
from kickbert.tabular.trees import Trees


@pytest.mark.parametrize("classes", [2, 3, 0])
def test_the_scores_are_those_of_scikit_learn(classes, monkeypatch):
    monkeypatch.setattr(trees, "CELLS", 500)  # several chunks
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    x[rng.random(x.shape) < 0.1] = np.nan
    noise = np.nan_to_num(x[:, 0]) + rng.normal(size=300) / 4
    if classes:
        model = HistGradientBoostingClassifier(max_iter=20).fit(x, np.digitize(noise, np.linspace(-1, 1, classes - 1)))
        expected = model.decision_function(x).reshape(300, -1)
    else:
        model = HistGradientBoostingRegressor(max_iter=20).fit(x, noise)
        expected = model.predict(x).reshape(-1, 1)
    made = Trees.of(model)
    assert np.allclose(made.scores(x), expected, atol=1e-9)
    assert Trees(**made.to_arrays()).scores(x[:1]) == pytest.approx(expected[:1])
    assert made.scores(x[:0]).shape == (0, expected.shape[1])
