"""Statistical significance: bootstrap intervals, a paired permutation test, correction for multiple comparisons."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kickbert.evaluation.decisions import WeightedScores
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import main_scores

RESAMPLES = 9_999  # samples of the permutation test
ROUNDS = 500  # bootstrap samples of an interval


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


def compare_scores(first: Predictions, second: Predictions, rounds: int = ROUNDS, seed: int = 0) -> pd.DataFrame:
    """Compare the main score of two predictions of the same rows by a paired bootstrap.

    Args:
        first: predictions with true labels.
        second: predictions of the same rows.
        rounds: bootstrap samples.
        seed: seed of the samples.
    Returns:
        score, low, high (95% interval), indexed by "first", "second" and "difference".
    """
    score = first.target.shown_scores[0]
    first_scores = main_scores(first)
    second_scores = main_scores(second)

    def both(weight: np.ndarray) -> dict[str, float]:
        one = first_scores(weight)[score]
        other = second_scores(weight)[score]
        return {"first": one, "second": other, "difference": one - other}

    rows = len(first)
    return pd.concat([pd.Series(both(np.ones(rows)), name="score"), intervals(both, rows, rounds, seed)], axis=1)
