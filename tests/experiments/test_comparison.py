"""Which recipe is better is said only where the rows show it."""

import numpy as np
import pandas as pd
import pytest

from kickbert import compare
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.significance import holm, paired_test
from kickbert.experiments.comparison import row_losses
from kickbert.targets.fitting import fit_target


@pytest.fixture
def recipe(tiny) -> dict:
    return {"model": tiny, "max_length": 16, "folds": 3}


def test_better_is_said_only_where_it_is(reviews, recipe):
    def untrained(learn):
        pass

    def whole(learn):
        learn.fit_one_cycle(6, 4e-3)

    recipes = {"trained": {"fit": whole}, "not trained": {"fit": untrained}, "twin": {"fit": whole}}
    found = compare(recipes, reviews, **recipe)
    assert "'not trained'" in found.told.split(";")[0] and "is better than" in found.told
    assert "cannot be told" in found.told and found.table["recipe"].iloc[-1] == "not trained"
    with pytest.raises(ValueError, match="at least two"):
        compare({"one": {}}, reviews, **recipe)
    with pytest.raises(ValueError, match="different things"):
        compare(
            {"a": {}, "b": {"label_col": "other"}}, reviews.assign(other=reviews["label"][::-1].to_numpy()), **recipe
        )


def test_the_paired_test_is_mcnemars():
    rng = np.random.default_rng(0)
    same = rng.random(500)
    assert paired_test(same, same) == 1
    a = np.zeros(300)
    b = a.copy()
    b[:12] = 1
    assert paired_test(a, b) == pytest.approx(2 * 0.5**12, abs=5e-4)
    low = [paired_test(rng.random(80) < 0.3, (rng.random(80) < 0.3).astype(float), s) for s in range(40)]
    assert np.mean(np.array(low) < 0.05) < 0.15


def test_losses_and_holm():
    ordered = fit_target(pd.Series([1.0, 2, 3, 4, 5, 6]), bins=3)
    found = Predictions(ordered, np.eye(3), np.array([0, 1, 2]), np.array([2, 1, 2]))
    assert row_losses(found).tolist() == [2, 0, 0]
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
