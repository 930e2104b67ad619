"""Which of several recipes is better, and whether that may be said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kickbert.cache.storage import Cache
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.significance import holm, paired_test
from kickbert.experiments.cross_validation import CrossValidation, cross_validate
from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION

LEVEL = 0.05


@dataclass(frozen=True, repr=False)
class Comparison:
    """Recipes side by side.

    Args:
        table: a row per recipe, the best first: mean and spread of its scores, its loss per row, the p-value against
            the best.
        told: the outcome in words.
        runs: the cross-validation of each recipe.
    """

    table: pd.DataFrame
    told: str
    runs: dict[str, CrossValidation]

    def __repr__(self) -> str:
        return f"{self.table.to_string(index=False, float_format='{:,.3f}'.format)}\n{self.told}"

    def _repr_html_(self) -> str:
        return self.table.to_html(index=False, float_format="{:,.3f}".format) + f"<p>{self.told}</p>"


def row_losses(found: Predictions) -> np.ndarray:
    """What each row's answer costs: 1 for a wrong class, buckets or share of labels missed, the error in its unit."""
    target = found.target
    if target.task == REGRESSION:
        truth, value = found.numbers
        return np.abs(truth - value)
    if target.task == MULTI:
        return (found.y_true != found.y_pred).mean(1)
    missed = np.abs(found.y_true - found.y_pred)
    return missed.astype(float) if target.task == ORDINAL else (missed > 0).astype(float)


def compare(recipes: Mapping[str, dict], df: pd.DataFrame, **how: Any) -> Comparison:
    """Cross-validate recipes on the same folds, and test whether the best is better than each of the others.

    Args:
        recipes: arguments of `learner_from_df`, and `fit` if one trains otherwise, by the recipe's name.
        df: the rows.
        how: arguments of `cross_validate` and what all recipes share.
    Returns:
        A table, and the outcome in words. p-values are corrected for the number of comparisons (Holm 1979); they
        speak of these models on further rows of the same kind, not of training anew.
    Raises:
        ValueError: fewer than two recipes, or recipes that predict different things.
    """
    if len(recipes) < 2:
        raise ValueError(f"{len(recipes)} recipes are nothing to compare; give at least two, by name")
    how = {"cache": Cache()} | how
    named = {name: {"name": f"{how['name']}: {name}"} if how.get("name") else {} for name in recipes}
    runs = {name: cross_validate(df, **how | named[name] | recipe) for name, recipe in recipes.items()}
    truths = [run.predictions.y_true for run in runs.values()]
    if any(t.shape != truths[0].shape or (t != truths[0]).any() for t in truths):
        raise ValueError("the recipes predict different things: give all of them the same label_col, bins and task")
    losses = {name: row_losses(run.predictions) for name, run in runs.items()}
    order = sorted(runs, key=lambda name: losses[name].mean())
    p = holm([paired_test(losses[order[0]], losses[name]) for name in order[1:]])
    rows = []
    for name, value in zip(order, [np.nan, *p], strict=True):
        told = runs[name].summary().set_index("score")["mean"].to_dict()
        rows.append({"recipe": name, "loss per row": losses[name].mean(), "p against the best": value} | told)
    return Comparison(pd.DataFrame(rows), _told(order, p), runs)


def _told(order: list[str], p: list[float]) -> str:
    best, worse = order[0], [n for n, v in zip(order[1:], p, strict=True) if v < LEVEL]
    alike = [n for n in order[1:] if n not in worse]
    said = [f"{best!r} is better than {', '.join(map(repr, worse))} (p < {LEVEL})"] if worse else []
    if alike:
        said.append(f"whether {best!r} is better than {', '.join(map(repr, alike))} cannot be told from these rows")
    return "; ".join(said)
