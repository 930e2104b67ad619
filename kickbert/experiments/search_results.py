"""What a search found: its trials, the check on rows that no trial saw, what mattered, and the outcome in words."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.significance import compare_scores

ROUNDS = 500  # bootstrap samples of the intervals


@dataclass(frozen=True, repr=False)
class Search:
    """What a search found.

    Args:
        trials: a row per trial: number, state, score on the validation rows, rungs climbed, seconds, values by name.
        check: of the best and of the default recipe the score on rows that the search never saw, and the difference,
            each with a 95 % interval (paired bootstrap).
        best_recipe: arguments of `learner_from_df`, the schedule with them: `learner_from_df(df, **best_recipe)`, then
            `fit_gradual()`. The default recipe, if no trial was better on the validation rows.
        default_score: of the default recipe on the validation rows.
        importances: of what was searched, summing to 1 (fANOVA, Hutter et al. 2014), by the trials that climbed to
            the end; empty where these are too few.
        conclusion: the outcome in words.
    """

    trials: pd.DataFrame
    check: pd.DataFrame
    best_recipe: dict[str, Any]
    default_score: float
    importances: pd.Series
    conclusion: str

    def __repr__(self) -> str:
        return f"{self.check.to_string(index=False, float_format='{:,.3f}'.format)}\n{self.conclusion}"

    def _repr_html_(self) -> str:
        return self.check.to_html(index=False, float_format="{:,.3f}".format) + f"<p>{self.conclusion}</p>"


def trials_frame(finished: list) -> pd.DataFrame:
    """A row per finished trial of Optuna: trial, state, score, rungs climbed, seconds, and what it chose, by name."""
    rows = []
    for trial in finished:
        scores = trial.intermediate_values
        score = scores[max(scores)] if scores else np.nan
        row = {"trial": trial.number, "state": trial.state.name.lower(), "score": score, "rungs": len(scores)}
        rows.append(row | {"seconds": trial.duration.total_seconds()} | trial.params)
    return pd.DataFrame(rows, columns=None if rows else ["trial", "state", "score", "rungs", "seconds"])


def check(best: Predictions, default: Predictions) -> pd.DataFrame:
    """Scores of two recipes on the same resampled rows, so that the interval of the difference is a paired one.

    Args:
        best, default: predictions of the same rows.
    Returns:
        recipe (best, default, difference), the main score of the task, low, high, rows.
    """
    table = compare_scores(best, default, ROUNDS).rename(index={"first": "best", "second": "default"})
    table = table.rename(columns={"score": best.target.shown_scores[0]})
    return table.rename_axis("recipe").reset_index().assign(rows=len(best))


def conclusion(check: pd.DataFrame, is_default: bool, trials: int) -> str:
    """The outcome in words.

    Args:
        check: table of `check`.
        is_default: whether no trial was better on the validation rows.
        trials: how many there were.
    """
    if is_default:
        return f"none of {trials} trials was better than the default recipe on the validation rows; the default will do"
    score, gain = check.columns[1], check.set_index("recipe").loc["difference"]
    rows = f"{check['rows'].iloc[0]:,} rows that the search never saw"
    numbers = f"{score} {gain[score]:+.3f}, 95 % interval {gain['low']:+.3f} to {gain['high']:+.3f}"
    if gain["low"] > 0:
        return f"the best of {trials} trials is better than the default recipe on {rows} ({numbers})"
    return (
        f"that the best of {trials} trials is better than the default recipe is not shown on {rows} ({numbers}); "
        "the default will do"
    )


def importances_of(study: Any, complete: list) -> pd.Series:
    """The importance of each searched value, by the trials that climbed to the end."""
    import optuna

    importances = {}
    if len({trial.value for trial in complete}) > 1:
        with suppress(RuntimeError, ValueError):  # nothing was varied among these few
            importances = optuna.importance.get_param_importances(study)
    return pd.Series(importances, dtype=float, name="importance").rename_axis("searched")
