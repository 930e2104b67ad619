"""A comparison calls a recipe better only if the difference is significant."""

import numpy as np
import pandas as pd
import pytest

from kickbert import compare
from kickbert.evaluation.predictions import Predictions
from kickbert.experiments.comparison import _conclusion, row_losses
from kickbert.targets.fitting import fit_target


@pytest.fixture
def recipe(tiny) -> dict:
    return {"model": tiny, "max_length": 16, "folds": 3}


def test_only_a_significant_difference_is_called_better():
    text = "'a' is better than 'b' (p < 0.05); the difference between 'a' and 'c' is not significant on these rows"
    assert _conclusion(["a", "b", "c"], [0.01, 0.4]) == text


def test_recipes_are_compared_with_the_best_one(reviews, recipe):
    def untrained(learn):
        pass

    def whole(learn):
        learn.fit_one_cycle(6, 4e-3)

    recipes = {"trained": {"fit": whole}, "not trained": {"fit": untrained}, "twin": {"fit": whole}}
    comparison = compare(recipes, reviews, **recipe)
    assert "'not trained'" in comparison.conclusion.split(";")[0]
    assert "is not significant" in comparison.conclusion and comparison.table["recipe"].iloc[-1] == "not trained"
    assert comparison.table["p-value"].isna().tolist() == [True, False, False]
    assert comparison.conclusion in repr(comparison) and comparison.conclusion in comparison._repr_html_()
    with pytest.raises(ValueError, match="at least two"):
        compare({"one": {}}, reviews, **recipe)
    with pytest.raises(ValueError, match="different targets"):
        compare(
            {"a": {}, "b": {"label_col": "other"}}, reviews.assign(other=reviews["label"][::-1].to_numpy()), **recipe
        )


def test_row_loss_depends_on_the_task():
    labels = fit_target(pd.Series(["a", "b", "c", "c"]))
    codes, other = np.array([0, 1, 2]), np.array([2, 1, 2])
    assert row_losses(Predictions(labels, np.eye(3), codes, other)).tolist() == [1, 0, 0]
    ordered = fit_target(pd.Series([1.0, 2, 3, 4, 5, 6]), bins=3)
    assert row_losses(Predictions(ordered, np.eye(3), codes, other)).tolist() == [2, 0, 0]
    several = fit_target(pd.Series([["a", "b"], ["b"]]))
    y_true, y_pred = np.array([[1, 1], [0, 1.0]]), np.array([[1, 0], [0, 1.0]])
    assert row_losses(Predictions(several, y_pred, y_pred, y_true)).tolist() == [0.5, 0]
    numbers = fit_target(pd.Series([1.0, 3.0], name="n"), task="regression")
    y_true, y_pred = (numbers.standardize(np.array(v)).reshape(-1, 1) for v in ([1.0, 3.0], [2.0, 3.0]))
    assert np.allclose(row_losses(Predictions(numbers, y_pred, y_pred, y_true)), [1, 0])
