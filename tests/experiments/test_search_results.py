"""What a search found, in words and figures: a gain that is none is called so."""

import numpy as np
import pandas as pd
import pytest

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import main_score
from kickbert.experiments.plots import plot_importances, plot_search
from kickbert.experiments.search_results import Search, check, conclusion
from kickbert.targets.fitting import fit_target


def predictions(right: int) -> Predictions:
    """Of 100 rows, so many right."""
    y_true = np.array([0, 1] * 50)
    p = np.where(np.arange(100) < right, y_true, 1 - y_true)
    return Predictions.from_probabilities(y_true, np.stack([1 - p, p], 1))


def test_a_gain_is_shown_by_a_paired_interval():
    table = check(predictions(90), predictions(70))
    assert table["accuracy"].tolist() == pytest.approx([0.9, 0.7, 0.2])
    low, high = table.iloc[2][["low", "high"]]
    assert 0.1 < low < 0.2 < high < 0.3
    assert "the best of 20 trials is better than the default recipe on 100 rows" in conclusion(table, False, 20)


@pytest.mark.parametrize("task", ["single label", "multi-label", "regression"])
def test_the_score_is_that_of_evaluate(task):
    rng = np.random.default_rng(0)
    if task == "regression":
        values = pd.Series(rng.random(40))
        target, numbers = fit_target(values, task=task), rng.random((40, 1))
        found = Predictions(target, numbers, numbers, values.to_numpy())
    else:
        y_true = rng.integers(0, 2, (40, 2)) if task == "multi-label" else rng.integers(0, 2, 40)
        found = Predictions.from_probabilities(y_true, rng.dirichlet([1, 1], 40))
    table = check(found, found)
    assert table.iloc[0, 1] == pytest.approx(main_score(found))


def test_a_gain_that_may_be_luck_is_called_so():
    table = check(predictions(71), predictions(70))
    assert "is not shown on 100 rows" in conclusion(table, False, 20) and "will do" in conclusion(table, False, 20)
    assert "none of 20 trials was better" in conclusion(table, True, 20)


def test_figures():
    rows = [(0, "complete", 0.5, 3), (1, "pruned", 0.4, 1), (2, "complete", 0.6, 3)]
    trials = pd.DataFrame(rows, columns=["trial", "state", "score", "rungs"])
    table = check(predictions(90), predictions(70))
    found = Search(trials, table, {}, 0.55, pd.Series({"lr": 0.7, "pooling": 0.3}), "")
    (axes,) = plot_search(found).axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["pruned (1)", "complete (2)", "best so far", "default recipe"]
    assert axes.lines[2].get_ydata().tolist() == [0.5, 0.6]
    (axes,) = plot_importances(found).axes
    assert [bar.get_width() for bar in axes.patches] == [0.3, 0.7]
    with pytest.raises(ValueError, match="too few trials were completed"):
        plot_importances(Search(trials, table, {}, 0.5, pd.Series(dtype=float), ""))
