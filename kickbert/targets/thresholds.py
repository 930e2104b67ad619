"""What is tuned on probabilities after training: a threshold for each of several labels, and a temperature."""

from collections.abc import Callable

import numpy as np

PRIOR = 10.0  # positives that a label borrows from all the labels
TEMPERATURES = (0.05, 20.0)  # at the ends the model knows nothing or is never wrong


def best_thresholds(probs: np.ndarray, truth: np.ndarray, prior: float = PRIOR) -> np.ndarray:
    """Decision thresholds that maximise each label's F1, shrunk towards the one that maximises micro-averaged F1.

    A label of few rows would get a threshold that fits those by chance. So each is judged as if it had `prior` more
    positives, with the true and false positives that all labels together have at that threshold: rare labels come out
    near the threshold that is best for all, frequent ones at their own.

    Args:
        probs: shape (n, labels).
        truth: zeros and ones, shape (n, labels).
        prior: 0 for each label by itself.
    Returns:
        Shape (labels,); 0.5 where no row has any label.

    >>> best_thresholds(np.array([[0.1], [0.2], [0.4], [0.3]]), np.array([[0], [0], [1], [1]])).round(2)
    array([0.25])
    """
    truth = truth.astype(bool)
    if not truth.any():
        return np.full(truth.shape[1], 0.5)
    together = _Counts(probs.ravel(), truth.ravel())
    usual = together.cuts[together.f1(together.cuts).argmax()]
    thresholds = []
    for p, t in zip(probs.T, truth.T, strict=True):
        own = _Counts(p, t)
        cuts = np.append(own.cuts, usual)
        thresholds.append(cuts[own.f1(cuts, together, prior).argmax()])
    return np.array(thresholds)


class _Counts:
    """True positives, and all predicted positives, from any threshold on.

    Args:
        probs: shape (n,).
        truth: bool, shape (n,).
    """

    def __init__(self, probs: np.ndarray, truth: np.ndarray):
        self.all, self.true = np.sort(probs), np.sort(probs[truth])
        levels = np.unique(probs)
        self.cuts = (levels + np.append(0.0, levels[:-1])) / 2  # halfway, so that a threshold does not rest on one row

    def above(self, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """True positives and predicted positives from each threshold on."""
        return tuple(len(x) - np.searchsorted(x, cuts) for x in (self.true, self.all))

    def f1(self, cuts: np.ndarray, others: "_Counts | None" = None, prior: float = 0.0) -> np.ndarray:
        """F1 at each threshold, with `prior` positives of others added."""
        (hits, predicted), positives = self.above(cuts), len(self.true)
        if others is not None and prior:
            weight = prior / len(others.true)
            more = others.above(cuts)
            hits, predicted, positives = hits + weight * more[0], predicted + weight * more[1], positives + prior
        return 2 * hits / np.maximum(predicted + positives, 1e-12)


def best_temperature(loss: Callable[[float], float], bounds: tuple[float, float] = TEMPERATURES) -> float:
    """The temperature of least loss (Guo et al. 2017, section 4.2).

    Args:
        loss: of the probabilities that a temperature makes.
        bounds: between which it is sought, on a logarithmic scale.

    >>> round(best_temperature(lambda t: (t - 2) ** 2), 3)
    2.0
    """
    from scipy.optimize import minimize_scalar  # which a predictor need not load

    found = minimize_scalar(lambda log: loss(np.exp(log)), bounds=np.log(bounds), method="bounded")
    return float(np.exp(found.x))
