"""When to stop labeling: predictions no longer change, or a learning curve promises little from more labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.metrics import cohen_kappa_score

from kickbert.evaluation.significance import wilson_interval
from kickbert.labeling.classifier import EmbeddingClassifier

KAPPA = 0.98  # agreement between consecutive refits …
REFITS = 3  # … over this many refits
MORE = 50  # labels that the forecast adds
WORTH = 0.005  # gain in accuracy below which MORE labels are not worth it
FOLDS = 5
SIZES = 5  # points on the learning curve
EXPONENTS = np.geomspace(0.1, 2, 25)  # of the power laws to try
DRAWS = 300  # bootstrap samples
MAX_GROWTH = 20  # the forecast ends at this multiple of the current labels


def agreement(before: np.ndarray, after: np.ndarray) -> float:
    """Compute Cohen's kappa of two predictions, over all cells for several labels; 1 if they are identical.

    Args:
        before: Codes, shape (n,) or (n, labels).
        after: Codes, same shape.
    """
    if (before == after).all():
        return 1.0
    return float(cohen_kappa_score(before.reshape(-1), after.reshape(-1)))


def stabilized(predictions: Sequence[np.ndarray], kappa: float = KAPPA, refits: int = REFITS) -> bool:
    """Tell whether the last refits agree with one another (Bloodgood and Vijay-Shanker 2009, section 3).

    Args:
        predictions: Codes of the same rows after each refit, the latest last.
        kappa: Minimum agreement between consecutive refits.
        refits: Number of refits that must agree.

    >>> stabilized([np.array([0, 1]), np.array([0, 1]), np.array([0, 1])])
    True
    """
    last = predictions[-refits:]
    return len(last) == refits and all(agreement(a, b) > kappa for a, b in pairwise(last))


@dataclass(frozen=True)
class Forecast:
    """The accuracy expected after more labels.

    Args:
        sizes: Numbers of labels, one per point.
        accuracies: Measured accuracies, one per point.
        more: Number of labels added to the last point.
        accuracy: Expected accuracy after that.
        low: Lower bound of its 95% interval.
        high: Upper bound of its 95% interval.
        gain: Expected gain over the current accuracy.
        enough: Number of labels from which `more` labels are expected to gain less than half a point.
    """

    sizes: list[int]
    accuracies: list[float]
    more: int
    accuracy: float
    low: float
    high: float
    gain: float
    enough: int


def correct_by_size(
    model: EmbeddingClassifier, embeddings: np.ndarray, codes: np.ndarray, judged: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Find out which rows are predicted correctly from parts of the labels, by models that were not fitted on them.

    Every size is judged on the same rows, so difficult rows shift the curve but do not bend it.

    Args:
        model: Supplies the task and the number of classes; it is not fitted itself.
        embeddings: Embeddings of the labeled rows in the order of labeling, shape (n, width).
        codes: Their labels from `label_codes`.
        judged: Positions of the rows to judge.
        seed: Seed of the folds.
    Returns:
        Numbers of labels, shape (points,), the last one all of them; and bool, shape (points, judged rows).
    """
    n = len(codes)
    folds = np.random.default_rng(seed).integers(FOLDS, size=n)
    sizes = np.unique(np.geomspace(max(5, n // 8), n, SIZES).astype(int))
    correct = np.zeros((len(sizes), len(judged)), dtype=bool)
    for point, size in enumerate(sizes):
        for fold in range(FOLDS):
            training = np.flatnonzero(folds[:size] != fold)
            held_out = folds[judged] == fold
            if not held_out.any() or not model.can_fit(codes[training]):
                continue
            rows = judged[held_out]
            fitted = EmbeddingClassifier(model.task, model.classes).fit(embeddings[training], codes[training])
            same = fitted.decide(fitted.predict_proba(embeddings[rows])) == codes[rows]
            correct[point, held_out] = same.reshape(len(rows), -1).all(axis=1)
    return sizes, correct


def power_law(sizes: np.ndarray, accuracies: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit accuracy = top - factor * size ** -exponent to many curves at once.

    See Cortes et al. (1993) and Figueroa et al. (2012).

    Args:
        sizes: Numbers of labels, shape (points,).
        accuracies: One curve per row, shape (curves, points).
    Returns:
        top (at most 1), factor (at least 0) and exponent, each of shape (curves,).
    """
    tops, factors, errors = [], [], []
    for exponent in EXPONENTS:
        x = sizes**-exponent
        spread = x - x.mean()
        slope = np.maximum(-(accuracies @ spread) / (spread @ spread), 0)
        limit = accuracies.mean(axis=1) + slope * x.mean()
        slope = np.where(limit > 1, ((1 - accuracies) @ x) / (x @ x), slope)
        limit = np.minimum(limit, 1)
        tops.append(limit)
        factors.append(slope)
        errors.append(((limit[:, None] - slope[:, None] * x - accuracies) ** 2).sum(axis=1))
    best = np.argmin(errors, axis=0)
    curves = np.arange(len(accuracies))
    return np.stack(tops)[best, curves], np.stack(factors)[best, curves], EXPONENTS[best]


def forecast(sizes: np.ndarray, correct: np.ndarray, more: int = MORE, seed: int = 0) -> Forecast:
    """Extrapolate a learning curve by `more` labels.

    The interval comes from a bootstrap over the judged rows, and is at least as wide as that of the current accuracy.

    Args:
        sizes: Numbers of labels from `correct_by_size`; at least two.
        correct: Correct predictions from `correct_by_size`.
        more: Number of labels to add.
        seed: Seed of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    rows = correct.shape[1]
    samples = [rng.integers(rows, size=rows) for _ in range(DRAWS)]
    accuracies = np.stack([correct.mean(axis=1), *(correct[:, sample].mean(axis=1) for sample in samples)])
    top, factor, exponent = power_law(sizes, accuracies)
    now = top - factor * sizes[-1] ** -exponent
    then = top - factor * (sizes[-1] + more) ** -exponent
    expected = np.clip(accuracies[:, -1] + then - now, 0, 1)
    low, high = np.quantile(expected[1:], [0.025, 0.975])
    low, high = _as_wide_as_now(float(expected[0]), low, high, correct[-1])
    steps = np.arange(sizes[-1], MAX_GROWTH * sizes[-1], more)
    gains = factor[0] * (steps ** -exponent[0] - (steps + more) ** -exponent[0])
    return Forecast(
        sizes=sizes.tolist(),
        accuracies=accuracies[0].tolist(),
        more=more,
        accuracy=float(expected[0]),
        low=low,
        high=high,
        gain=float(gains[0]),
        enough=int(steps[np.argmax(gains < WORTH)] if (gains < WORTH).any() else steps[-1]),
    )


def _as_wide_as_now(expected: float, low: float, high: float, correct: np.ndarray) -> tuple[float, float]:
    """Widen an interval around an expected accuracy to at least that of the current one, on either side and in all.

    Args:
        expected: Expected accuracy.
        low: Lower bound of its interval.
        high: Upper bound of its interval.
        correct: Current correct predictions, bool, shape (rows,).
    """
    now = correct.mean()
    now_low, now_high = wilson_interval(correct.sum(), len(correct))
    low, high = max(0.0, min(low, expected - (now - now_low))), min(1.0, max(high, expected + (now_high - now)))
    width = now_high - now_low  # where the bounds of 0 and 1 cut one side, the other side makes up for it
    return float(max(0.0, min(low, high - width))), float(min(1.0, max(high, low + width)))
