"""Whether a difference is more than chance: intervals, a paired test, correction for many comparisons."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kickbert.evaluation.scores import WeightedScores


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979).

    >>> holm([0.01, 0.04])
    [0.02, 0.04]
    """
    out, largest = [0.0] * len(p), 0.0
    for rank, i in enumerate(np.argsort(p)):
        largest = max(largest, min(1.0, p[i] * (len(p) - rank)))
        out[i] = largest
    return out


ROUNDS = 9_999


def paired_test(a: np.ndarray, b: np.ndarray, seed: int = 0) -> float:
    """p-value of two losses of the same rows being alike on average: signs of the differences are drawn at random.

    For losses of 0 and 1 this is McNemar's exact test (Dietterich 1998, section 3.1) but for the drawing.
    """
    from scipy.stats import permutation_test

    gaps = (a - b)[a != b]  # rows on which both agree carry no sign
    if not len(gaps):
        return 1.0
    drawn = permutation_test(
        (gaps,), np.mean, permutation_type="samples", n_resamples=ROUNDS, batch=256, vectorized=True, rng=seed
    )
    return float(drawn.pvalue)


def intervals(scores: WeightedScores, rows: int, rounds: int = 500, seed: int = 0) -> pd.DataFrame:
    """95 % intervals of scores by the percentile bootstrap (Efron and Tibshirani 1993, section 13.3).

    Args:
        scores: of the rows' weights.
        rows: how many there are.
    Returns:
        low and high, by score.
    """
    rng, even = np.random.default_rng(seed), np.full(rows, 1 / rows)
    drawn = pd.DataFrame([scores(rng.multinomial(rows, even).astype(float)) for _ in range(rounds)])
    return pd.DataFrame({"low": drawn.quantile(0.025), "high": drawn.quantile(0.975)})
