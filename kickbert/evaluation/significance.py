"""Statistical significance: intervals of scores, a paired permutation test, correction for multiple comparisons."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kickbert.evaluation.decisions import WeightedScores
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import main_scores
from kickbert.utils.messages import listed

RESAMPLES = 9_999  # samples of the permutation test
ROUNDS = 500  # bootstrap samples of an interval
NAMED = 5  # maximum number of scores in a note
SHARES = ("accuracy", "subset accuracy")  # scores that are the share of correct rows
ACCURACIES = ("accuracy", "micro-precision", "micro-recall", "micro-F1", "weighted-recall")  # with one label per row


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values for multiple comparisons (Holm 1979).

    Args:
        p: p-values in any order.
    Returns:
        Corrected p-values, at most 1, in the same order.

    >>> holm([0.01, 0.04])
    [0.02, 0.04]
    """
    out, largest = [0.0] * len(p), 0.0
    for rank, i in enumerate(np.argsort(p)):
        largest = max(largest, min(1.0, p[i] * (len(p) - rank)))
        out[i] = largest
    return out


def paired_test(a: np.ndarray, b: np.ndarray, seed: int = 0) -> float:
    """Test whether two losses have the same mean, by permuting the signs of their differences.

    For losses of 0 and 1 this is McNemar's test (Dietterich 1998, section 3.1), sampled instead of by its formula.

    Args:
        a: losses of the first model, shape (n,).
        b: losses of the second model on the same rows, shape (n,).
        seed: seed of the permutations.
    Returns:
        The two-sided p-value; 1 if no row differs.
    """
    from scipy.stats import permutation_test

    differences = (a - b)[a != b]  # rows with equal losses have no sign
    if not len(differences):
        return 1.0
    result = permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=RESAMPLES, batch=256, vectorized=True, rng=seed
    )
    return float(result.pvalue)


def intervals(scores: WeightedScores, rows: int, rounds: int = ROUNDS, seed: int = 0) -> pd.DataFrame:
    """Compute 95% confidence intervals by the percentile bootstrap (Efron and Tibshirani 1993, section 13.3).

    Args:
        scores: function from row weights to scores by name.
        rows: number of rows.
        rounds: bootstrap samples.
        seed: seed of the samples.
    Returns:
        low and high, indexed by score.
    """
    rng, even = np.random.default_rng(seed), np.full(rows, 1 / rows)
    samples = pd.DataFrame([scores(rng.multinomial(rows, even).astype(float)) for _ in range(rounds)])
    return pd.DataFrame({"low": samples.quantile(0.025), "high": samples.quantile(0.975)})


def wilson_interval(hits: float, rows: float) -> tuple[float, float]:
    """Compute the 95% interval of a share of rows (Wilson 1927), which has a width even if all rows are hits.

    Args:
        hits: number of rows that count.
        rows: number of rows, at least 1.

    >>> [round(bound, 3) for bound in wilson_interval(30, 30)]
    [0.886, 1.0]
    """
    from scipy.stats import binomtest

    interval = binomtest(round(hits), round(rows)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def score_intervals(scores: WeightedScores, rows: int, rounds: int = ROUNDS, seed: int = 0) -> pd.DataFrame:
    """Compute 95% confidence intervals of scores: Wilson's for shares of rows, otherwise by bootstrap.

    The bootstrap says nothing about a score that is the same in all samples, such as the macro-F1 of predictions that
    are all correct: its bounds are NaN.

    Args:
        scores, rows, rounds, seed: as for `intervals`.
    Returns:
        low and high, indexed by score.
    """
    table = intervals(scores, rows, rounds, seed)
    table[table["low"] == table["high"]] = np.nan
    values = scores(np.ones(rows))
    for name in [*SHARES, *(ACCURACIES if "accuracy" in values else ())]:
        if name in values:
            table.loc[name] = wilson_interval(values[name] * rows, rows)
    return table


def undefined_intervals(table: pd.DataFrame, where: str = "") -> list[str]:
    """Write a note about the scores that have a value but no interval; none if there are no such scores.

    Args:
        table: score, model and low.
        where: rows that the table is about, such as " in some groups".
    """
    names = table.loc[table["model"].notna() & table["low"].isna(), "score"].unique()
    if not len(names):
        return []
    verb = "The interval of {} is" if len(names) == 1 else "The intervals of {} are"
    return [f"{verb.format(listed(names, NAMED))} not defined{where}: all bootstrap samples are equal"]


def compare_scores(first: Predictions, second: Predictions, rounds: int = ROUNDS, seed: int = 0) -> pd.DataFrame:
    """Compare the main score of two predictions of the same rows by a paired bootstrap.

    Args:
        first: predictions with true labels.
        second: predictions of the same rows.
        rounds: bootstrap samples.
        seed: seed of the samples.
    Returns:
        score, low, high (95% interval; Wilson's for a share of rows), indexed by "first", "second" and "difference".
    """
    score = first.target.shown_scores[0]
    first_scores = main_scores(first)
    second_scores = main_scores(second)

    def both(weight: np.ndarray) -> dict[str, float]:
        one = first_scores(weight)[score]
        other = second_scores(weight)[score]
        return {"first": one, "second": other, "difference": one - other}

    rows = len(first)
    values = both(np.ones(rows))
    bounds = intervals(both, rows, rounds, seed)
    if score in SHARES:
        for name in ("first", "second"):
            bounds.loc[name] = wilson_interval(values[name] * rows, rows)
    return pd.concat([pd.Series(values, name="score"), bounds], axis=1)
