"""Comparison of recipes: cross-validated on the same folds, with paired significance tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kickbert.cache.storage import Cache
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.significance import holm, paired_test
from kickbert.experiments.cross_validation import CrossValidation, cross_validate

LEVEL = 0.05  # of significance


@dataclass(frozen=True, repr=False)
class Comparison:
    """Recipes side by side.

    Args:
        table: a row per recipe, the best first: its mean loss per row, the p-value against the best, the mean of each
            score over folds.
        conclusion: the outcome in words.
        runs: the cross-validation of each recipe.
    """

    table: pd.DataFrame
    conclusion: str
    runs: dict[str, CrossValidation]

    def __repr__(self) -> str:
        return f"{self.table.to_string(index=False, float_format='{:,.3f}'.format)}\n{self.conclusion}"

    def _repr_html_(self) -> str:
        return self.table.to_html(index=False, float_format="{:,.3f}".format) + f"<p>{self.conclusion}</p>"


def row_losses(predictions: Predictions) -> np.ndarray:
    """The loss of each row, shape (n,).

    It is the 0-1 loss of a class, the Hamming loss of several labels, and the absolute error of ordered classes, in
    ranks, and of numbers, in their unit.
    """
    return predictions.target.row_errors(predictions.labels, predictions.y_pred)


def compare(recipes: Mapping[str, dict], df: pd.DataFrame, **shared: Any) -> Comparison:
    """Cross-validate recipes on the same folds, and test whether the best is significantly better than the others.

    Args:
        recipes: arguments of `learner_from_df`, and `fit` if one trains otherwise, by the recipe's name.
        df: the rows.
        shared: arguments of `cross_validate`, and of `learner_from_df` what all recipes share.
    Returns:
        A table, and the outcome in words. p-values are corrected for the number of comparisons (Holm 1979); they
        speak of these models on further rows of the same kind, not of training anew.
    Raises:
        ValueError: fewer than two recipes, or recipes that predict different things.
    """
    if len(recipes) < 2:
        raise ValueError(f"{len(recipes)} recipes are nothing to compare; give at least two, by name")
    shared = {"cache": Cache()} | shared
    named = {name: {"name": f"{shared['name']}: {name}"} if shared.get("name") else {} for name in recipes}
    runs = {name: cross_validate(df, **shared | named[name] | recipe) for name, recipe in recipes.items()}
    first, *others = [run.predictions.labels for run in runs.values()]
    if not all(np.array_equal(first, other) for other in others):
        raise ValueError("the recipes predict different things: give all of them the same label_col, bins and task")
    losses = {name: row_losses(run.predictions) for name, run in runs.items()}
    order = sorted(runs, key=lambda name: losses[name].mean())
    p_values = holm([paired_test(losses[order[0]], losses[name]) for name in order[1:]])
    rows = []
    for name, p in zip(order, [np.nan, *p_values], strict=True):
        means = runs[name].summary().set_index("score")["mean"].to_dict()
        rows.append({"recipe": name, "loss per row": losses[name].mean(), "p-value": p} | means)
    return Comparison(pd.DataFrame(rows), _conclusion(order, p_values), runs)


def _conclusion(order: list[str], p_values: list[float]) -> str:
    best, *others = order
    worse = [name for name, p in zip(others, p_values, strict=True) if p < LEVEL]
    alike = [name for name in others if name not in worse]
    parts = [f"{best!r} is better than {', '.join(map(repr, worse))} (p < {LEVEL})"] if worse else []
    if alike:
        parts.append(f"that {best!r} is better than {', '.join(map(repr, alike))} is not significant on these rows")
    return "; ".join(parts)
