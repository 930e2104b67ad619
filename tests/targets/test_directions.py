"""The list of scores of which lower is better agrees with every score of every task."""

import numpy as np
import pandas as pd
import pytest

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import all_scores
from kickbert.targets.directions import LOWER_IS_BETTER, with_directions
from kickbert.targets.fitting import fit_target


def predictions(task: str, error: float) -> Predictions:
    """Predictions of 40 rows; the larger the error, the worse."""
    rng = np.random.default_rng(0)
    if task == "several":
        truth = np.tile([[1, 0], [0, 1], [1, 1], [0, 0]], (10, 1))
        noise = rng.random(truth.shape) < error
        return Predictions.from_probabilities(truth, np.where((truth == 1) != noise, 0.95, 0.05))
    numbers = pd.Series(np.linspace(0, 9, 40))
    target = fit_target(numbers, bins=4) if task == "ordinal" else fit_target(numbers, task="regression")
    truth = target.encode(numbers)
    if task == "number":
        out = (truth + error * rng.normal(size=40)).reshape(-1, 1)
        return Predictions(target, out, out, truth)
    y_pred = np.where(rng.random(40) < error, 3 - truth, truth)
    return Predictions(target, np.eye(4)[y_pred] * 0.9 + 0.025, y_pred, truth)


@pytest.mark.parametrize("task", ["ordinal", "several", "number"])
def test_worse_predictions_raise_exactly_these_scores(task):
    good, bad = (all_scores(predictions(task, error))(np.ones(40)) for error in (0.0, 0.5))
    assert {name for name in good if bad[name] > good[name]} == LOWER_IS_BETTER & set(good)
    assert all(bad[name] != good[name] for name in good)


def test_a_table_shows_the_direction():
    table = with_directions(pd.DataFrame({"score": ["accuracy", "log loss"], "Brier score": [0.1, 0.2]}))
    assert table.columns.tolist() == ["score", "Brier score (lower is better)"]
    assert table["score"].tolist() == ["accuracy", "log loss (lower is better)"]
