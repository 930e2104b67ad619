"""Tuning after training: decision thresholds of several labels, and a temperature."""

from collections.abc import Callable

import numpy as np

PRIOR = 10.0  # positives that a label borrows from all labels
TEMPERATURES = (0.05, 20.0)  # a temperature at a limit means a perfect or a useless model


def best_thresholds(probs: np.ndarray, truth: np.ndarray, prior: float = PRIOR) -> np.ndarray:
    """Find the thresholds that maximize each label's F1, shrunk toward the one that maximizes micro-averaged F1.

    A label with few rows would get a threshold that fits them by chance. So each is judged as if it had `prior` more
    positives, with the true and false positives of all labels together at that threshold: rare labels end up near the
    threshold that is best for all labels, frequent ones at their own.

    Args:
        probs: shape (n, labels).
        truth: zeros and ones, shape (n, labels).
        prior: number of positives to add; 0 judges each label by itself.
    Returns:
        Thresholds, shape (labels,); 0.5 if no row has any label.

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
    """Count true positives and predicted positives above any threshold.

    Args:
        probs: shape (n,).
        truth: bool, shape (n,).
    """

    def __init__(self, probs: np.ndarray, truth: np.ndarray):
        self.all = np.sort(probs)
        self.true = np.sort(probs[truth])
        levels = np.unique(probs)
        self.cuts = (levels + np.append(0.0, levels[:-1])) / 2  # halfway, so that a threshold does not rest on one row

    def above(self, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Count true positives and predicted positives at each threshold."""
        true = len(self.true) - np.searchsorted(self.true, cuts)
        return true, len(self.all) - np.searchsorted(self.all, cuts)

    def f1(self, cuts: np.ndarray, others: "_Counts | None" = None, prior: float = 0.0) -> np.ndarray:
        """Compute F1 at each threshold, with `prior` positives of `others` added."""
        hits, predicted = self.above(cuts)
        positives: float = len(self.true)
        if others is not None and prior:
            weight = prior / len(others.true)
            more_hits, more_predicted = others.above(cuts)
            hits = hits + weight * more_hits
            predicted = predicted + weight * more_predicted
            positives += prior
        return 2 * hits / np.maximum(predicted + positives, 1e-12)


def best_temperature(loss: Callable[[float], float], bounds: tuple[float, float] = TEMPERATURES) -> float:
    """Find the temperature with the lowest loss (Guo et al. 2017, section 4.2).

    Args:
        loss: the loss as a function of the temperature.
        bounds: the limits of the search, on a logarithmic scale.

    >>> round(best_temperature(lambda t: (t - 2) ** 2), 3)
    2.0
    """
    from scipy.optimize import minimize_scalar  # a predictor does not need it

    optimum = minimize_scalar(lambda log: loss(np.exp(log)), bounds=np.log(bounds), method="bounded")
    return float(np.exp(optimum.x))
