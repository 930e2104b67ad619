"""Compare recipes by cross-validation on the same folds, with paired significance tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kickbert.cache.storage import Cache
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.significance import holm, paired_test
from kickbert.experiments.cross_validation import CrossValidation, cross_validate
from kickbert.targets.directions import with_directions

LEVEL = 0.05  # significance level


@dataclass(frozen=True, repr=False)
class Comparison:
    """The result of comparing recipes.

    Args:
        table: one row per recipe, the best first, with the mean loss per row, the p-value of the difference from the
            best recipe, and the mean of each score over folds.
        conclusion: the outcome in words.
        runs: cross-validation of each recipe, by name.
    """

    table: pd.DataFrame
    conclusion: str
    runs: dict[str, CrossValidation]

    def __repr__(self) -> str:
        return f"{with_directions(self.table).to_string(index=False, float_format='{:,.3f}'.format)}\n{self.conclusion}"

    def _repr_html_(self) -> str:
        table = with_directions(self.table).to_html(index=False, float_format="{:,.3f}".format)
        return table + f"<p>{self.conclusion}</p>"


def row_losses(predictions: Predictions) -> np.ndarray:
    """Compute the loss of each row, shape (n,).

    Classes: 0-1 loss. Several labels: Hamming loss. Ordered classes: absolute error in ranks. Numbers: absolute error
    in their unit.
    """
    return predictions.target.row_errors(predictions.labels, predictions.y_pred)


def compare(recipes: Mapping[str, dict], df: pd.DataFrame, **shared: Any) -> Comparison:
    """Cross-validate recipes on the same folds and test whether the best one is significantly better than the others.

    Args:
        recipes: arguments of `learner_from_df` by the name of the recipe. A recipe may also contain `fit`.
        df: labeled rows.
        shared: arguments of `cross_validate`, and arguments of `learner_from_df` that all recipes share.
    Returns:
        A table and the outcome in words. p-values are corrected for multiple comparisons (Holm 1979). They apply to
        these models on new rows of the same kind; they do not include the variance between training runs.
    Raises:
        ValueError: fewer than two recipes, or recipes with different targets.
    """
    if len(recipes) < 2:
        raise ValueError(
            f"compare() needs at least two recipes, but got {len(recipes)}. Pass a dict of recipes by name"
        )
    shared = {"cache": Cache()} | shared
    named = {name: {"name": f"{shared['name']}: {name}"} if shared.get("name") else {} for name in recipes}
    runs = {name: cross_validate(df, **shared | named[name] | recipe) for name, recipe in recipes.items()}
    first, *others = [run.predictions.labels for run in runs.values()]
    if not all(np.array_equal(first, other) for other in others):
        raise ValueError("the recipes have different targets. Use the same label_col, bins and task in all of them")
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
    similar = [name for name in others if name not in worse]
    parts = [f"{best!r} is better than {', '.join(map(repr, worse))} (p < {LEVEL})"] if worse else []
    if similar:
        names = ", ".join(map(repr, similar))
        parts.append(f"the difference between {best!r} and {names} is not significant on these rows")
    return "; ".join(parts)
