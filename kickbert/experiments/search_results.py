"""Result of a hyperparameter search: trials, test scores of the best recipe, importances, and the outcome in words."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.significance import compare_scores
from kickbert.utils.messages import plural

KEEP = "keep the default recipe"
ROUNDS = 500  # bootstrap samples per confidence interval


@dataclass(frozen=True, repr=False)
class Search:
    """The result of a hyperparameter search.

    Args:
        trials: one row per trial: number, state, score on the validation rows, completed phases, seconds, and the
            hyperparameters.
        check: scores of the best and the default recipe on test rows that the search did not use, and their
            difference, each with a 95% confidence interval (paired bootstrap).
        best_recipe: arguments of `learner_from_df`, including the schedule. Train with
            `learner_from_df(df, **best_recipe)` and `fit_gradual()`. This is the default recipe if no trial was better
            on the validation rows.
        default_score: score of the default recipe on the validation rows.
        importances: importance of each hyperparameter, summing to 1 (fANOVA, Hutter et al. 2014), from the complete
            trials; empty if there are too few.
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
    """Tabulate finished Optuna trials: trial, state, score, completed phases, seconds, and the hyperparameters."""
    rows = []
    for trial in finished:
        scores = trial.intermediate_values
        score = scores[max(scores)] if scores else np.nan
        row = {"trial": trial.number, "state": trial.state.name.lower(), "score": score, "phases": len(scores)}
        rows.append(row | {"seconds": trial.duration.total_seconds()} | trial.params)
    return pd.DataFrame(rows, columns=None if rows else ["trial", "state", "score", "phases", "seconds"])


def check(best: Predictions, default: Predictions) -> pd.DataFrame:
    """Compare the scores of two recipes with a paired bootstrap.

    Args:
        best, default: predictions of the same rows.
    Returns:
        The columns recipe (best, default, difference), the main score of the task, low, high, and rows.
    """
    table = compare_scores(best, default, ROUNDS).rename(index={"first": "best", "second": "default"})
    table = table.rename(columns={"score": best.target.shown_scores[0]})
    return table.rename_axis("recipe").reset_index().assign(rows=len(best))


def conclusion(check: pd.DataFrame, is_default: bool, trials: int) -> str:
    """State the outcome in words.

    Args:
        check: table from `check`.
        is_default: whether no trial was better than the default recipe on the validation rows.
        trials: number of trials.
    """
    if is_default:
        return f"none of {plural(trials, 'trial')} was better than the default recipe on the validation rows; {KEEP}"
    score, gain = check.columns[1], check.set_index("recipe").loc["difference"]
    rows = f"{check['rows'].iloc[0]:,} test rows"
    numbers = f"{score} {gain[score]:+.3f}, 95% interval {gain['low']:+.3f} to {gain['high']:+.3f}"
    best = f"the best of {plural(trials, 'trial')} is"
    if gain["low"] > 0:
        return f"{best} better than the default recipe on {rows} ({numbers})"
    return f"{best} not significantly better than the default recipe on {rows} ({numbers}); {KEEP}"


def importances_of(study: Any) -> pd.Series:
    """Compute the importance of each hyperparameter from the complete trials."""
    import optuna

    importances = {}
    if len({trial.value for trial in study.trials if trial.state.name == "COMPLETE"}) > 1:
        with suppress(RuntimeError, ValueError):  # too few different values
            importances = optuna.importance.get_param_importances(study)
    return pd.Series(importances, dtype=float, name="importance").rename_axis("searched")
