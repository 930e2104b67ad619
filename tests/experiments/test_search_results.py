"""Results of a search: scores with paired intervals, the conclusion, and the figures."""

import numpy as np
import pandas as pd
import pytest

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import main_score
from kickbert.experiments.plots import plot_importances, plot_search
from kickbert.experiments.search_results import Search, check, conclusion
from kickbert.targets.fitting import fit_target


def predictions(right: int) -> Predictions:
    """Predictions of 100 rows, of which `right` are correct."""
    y_true = np.array([0, 1] * 50)
    p = np.where(np.arange(100) < right, y_true, 1 - y_true)
    return Predictions.from_probabilities(y_true, np.stack([1 - p, p], 1))


def test_a_significant_gain_is_reported():
    table = check(predictions(90), predictions(70))
    assert table["accuracy"].tolist() == pytest.approx([0.9, 0.7, 0.2])
    low, high = table.iloc[2][["low", "high"]]
    assert 0.1 < low < 0.2 < high < 0.3
    assert "the best of 20 trials is better than the default recipe on 100 test rows" in conclusion(table, False, 20)


@pytest.mark.parametrize("task", ["single label", "multi-label", "regression"])
def test_the_score_is_the_main_score_of_evaluate(task):
    rng = np.random.default_rng(0)
    if task == "regression":
        values = pd.Series(rng.random(40))
        target, numbers = fit_target(values, task=task), rng.random((40, 1))
        result = Predictions(target, numbers, numbers, values.to_numpy())
    else:
        y_true = rng.integers(0, 2, (40, 2)) if task == "multi-label" else rng.integers(0, 2, 40)
        result = Predictions.from_probabilities(y_true, rng.dirichlet([1, 1], 40))
    table = check(result, result)
    assert table.iloc[0, 1] == pytest.approx(main_score(result))


def test_without_a_significant_gain_the_conclusion_recommends_the_default():
    table = check(predictions(71), predictions(70))
    assert "is not significantly better than the default recipe on 100 test rows" in conclusion(table, False, 20)
    assert conclusion(table, False, 20).endswith("; keep the default recipe")
    assert "none of 20 trials was better" in conclusion(table, True, 20)


def test_figures():
    rows = [(0, "complete", 0.5, 3), (1, "pruned", 0.4, 1), (2, "complete", 0.6, 3)]
    trials = pd.DataFrame(rows, columns=["trial", "state", "score", "phases"])
    table = check(predictions(90), predictions(70))
    result = Search(trials, table, {}, 0.55, pd.Series({"lr": 0.7, "pooling": 0.3}), "")
    (axes,) = plot_search(result).axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["pruned (1)", "complete (2)", "best so far", "default recipe"]
    assert axes.lines[2].get_ydata().tolist() == [0.5, 0.6]
    (axes,) = plot_importances(result).axes
    assert [bar.get_width() for bar in axes.patches] == [0.3, 0.7]
    with pytest.raises(ValueError, match="too few complete trials"):
        plot_importances(Search(trials, table, {}, 0.5, pd.Series(dtype=float), ""))
