"""When labels are enough: predictions that no longer change, and what more labels would bring by a learning curve."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.metrics import cohen_kappa_score

from kickbert.labeling.classifier import EmbeddingClassifier

KAPPA, REFITS = 0.98, 3  # agreement over so many refits in a row
MORE, WORTH = 50, 0.005  # labels that are to bring this much accuracy, or it is time to stop
FOLDS, SIZES = 5, 5
EXPONENTS = np.geomspace(0.1, 2, 25)  # of the power laws that are tried
DRAWS = 300  # of the bootstrap
MOST = 20  # times the labels that there are: farther nothing is foretold


def agreement(before: np.ndarray, after: np.ndarray) -> float:
    """Cohen's kappa of two lists of predictions; of several labels, over all cells. 1 where both always say the same.

    Args:
        before, after: codes, shape (n,) or (n, labels).
    """
    before, after = before.reshape(-1), after.reshape(-1)
    return 1.0 if (before == after).all() else float(cohen_kappa_score(before, after))


def stabilised(predictions: Sequence[np.ndarray], kappa: float = KAPPA, refits: int = REFITS) -> bool:
    """Whether the last refits agree with one another (Bloodgood and Vijay-Shanker 2009, section 3).

    Args:
        predictions: of the same rows after each refit, the latest last.

    >>> stabilised([np.array([0, 1]), np.array([0, 1]), np.array([0, 1])])
    True
    """
    last = predictions[-refits:]
    return len(last) == refits and all(agreement(a, b) > kappa for a, b in pairwise(last))


@dataclass(frozen=True)
class Forecast:
    """What accuracy more labels would bring.

    Args:
        sizes: numbers of labels, shape (points,).
        accuracies: measured with so many, shape (points,).
        more: labels that are added to the last of them.
        accuracy, low, high: expected then, with a 95 % interval.
        gain: over now.
        enough: number of labels from which `more` are expected to bring less than half a point.
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
    """Which rows are predicted rightly after a part of the labels, by models that were not fitted on them.

    All sizes are judged on the same rows, so that what is hard in these rows shifts the curve and does not bend it.

    Args:
        model: says task and classes; it is not fitted itself.
        embeddings, codes: of the labelled rows, in the order in which they were labelled.
        judged: positions of the rows to judge by.
    Returns:
        Numbers of labels, shape (points,), the last of them all; and bool, shape (points, judged rows).
    """
    n, folds = len(codes), np.random.default_rng(seed).integers(FOLDS, size=len(codes))
    sizes = np.unique(np.geomspace(max(5, n // 8), n, SIZES).astype(int))
    correct = np.zeros((len(sizes), len(judged)), dtype=bool)
    for point, size in enumerate(sizes):
        for fold in range(FOLDS):
            training, held = np.flatnonzero(folds[:size] != fold), folds[judged] == fold
            if not held.any() or not model.can_fit(codes[training]):
                continue
            rows = judged[held]
            fitted = EmbeddingClassifier(model.task, model.classes).fit(embeddings[training], codes[training])
            same = fitted.decide(fitted.predict_proba(embeddings[rows])) == codes[rows]
            correct[point, held] = same.reshape(len(rows), -1).all(axis=1)
    return sizes, correct


def power_law(sizes: np.ndarray, accuracies: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit accuracy = top - factor * size ** -exponent (Cortes et al. 1993; Figueroa et al. 2012), many curves at once.

    Args:
        sizes: shape (points,).
        accuracies: shape (curves, points).
    Returns:
        top (at most 1), factor (at least 0), exponent: each of shape (curves,).
    """
    best = np.full(len(accuracies), np.inf)
    top, factor, exponent = np.zeros((3, len(accuracies)))
    for power in EXPONENTS:
        x = sizes**-power
        spread = x - x.mean()
        slope = np.maximum(-(accuracies @ spread) / (spread @ spread), 0)
        limit = accuracies.mean(axis=1) + slope * x.mean()
        over = limit > 1
        slope = np.where(over, ((1 - accuracies) @ x) / (x @ x), slope)
        limit = np.minimum(limit, 1)
        error = ((limit[:, None] - slope[:, None] * x - accuracies) ** 2).sum(axis=1)
        better = error < best
        best = np.where(better, error, best)
        for kept, tried in ((top, limit), (factor, slope), (exponent, power)):
            kept[:] = np.where(better, tried, kept)
    return top, factor, exponent


def forecast(sizes: np.ndarray, correct: np.ndarray, more: int = MORE, seed: int = 0) -> Forecast:
    """Accuracy after `more` labels, from a learning curve; its interval by a bootstrap over the judged rows.

    Args:
        sizes, correct: of `correct_by_size`; two sizes at least.
    """
    rng, rows = np.random.default_rng(seed), correct.shape[1]
    drawn = [rng.integers(rows, size=rows) for _ in range(DRAWS)]
    accuracies = np.stack([correct.mean(axis=1), *(correct[:, draw].mean(axis=1) for draw in drawn)])
    top, factor, exponent = power_law(sizes, accuracies)
    now, then = (top - factor * (sizes[-1] + added) ** -exponent for added in (0, more))
    expected = np.clip(accuracies[:, -1] + then - now, 0, 1)
    low, high = np.quantile(expected[1:], [0.025, 0.975])
    measured = [float(a) for a in accuracies[0]]
    steps = np.arange(sizes[-1], MOST * sizes[-1], more)
    gains = factor[0] * (steps ** -exponent[0] - (steps + more) ** -exponent[0])
    enough = steps[np.argmax(gains < WORTH)] if (gains < WORTH).any() else steps[-1]
    values = (float(value) for value in (expected[0], low, high, gains[0]))
    return Forecast(sizes.tolist(), measured, more, *values, int(enough))
