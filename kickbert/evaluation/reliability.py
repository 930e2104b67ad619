"""Metrics of probabilities: expected calibration error, log loss, Brier score."""

import numpy as np

BINS = 15  # bins of the expected calibration error (Guo et al. 2017, section 2)
LEAST = np.finfo(float).eps  # probability that replaces 0 in the log loss, as in scikit-learn


def top_label(y_true: np.ndarray, probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the confidence of the most probable class, and whether it is the true one.

    With several labels per row, each label counts as a prediction of its own, yes or no.

    Args:
        y_true: class numbers, shape (n,), or zeros and ones, shape (n, labels).
        probs: shape (n, classes).
    Returns:
        Confidence and a bool, each of shape (n,) or (n * labels,).
    """
    if y_true.ndim == 2:
        return np.maximum(probs, 1 - probs).ravel(), ((probs >= 0.5) == (y_true > 0.5)).ravel()
    return probs.max(1), probs.argmax(1) == y_true


class ExpectedCalibrationError:
    """Expected calibration error: mean of |accuracy - confidence| over bins of confidence (Guo et al. 2017, section 2).

    Args:
        confidence: confidence of each prediction, shape (n,).
        correct: whether each prediction is correct, bool, shape (n,).
    """

    def __init__(self, confidence: np.ndarray, correct: np.ndarray):
        self.bin = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        self.confidence = confidence
        self.correct = correct.astype(float)

    def __call__(self, weight: np.ndarray) -> float:
        """Compute the error, from 0 to 1.

        Args:
            weight: weight of each prediction, shape (n,).
        """
        gap = np.bincount(self.bin, weights=weight * (self.confidence - self.correct), minlength=BINS)
        return float(np.abs(gap).sum() / weight.sum())


def log_losses(y_true: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Compute the log loss of each row, in nats, shape (n,); the mean over labels if there are several.

    Args:
        y_true: class numbers, shape (n,), or zeros and ones, shape (n, labels).
        probs: shape (n, classes).
    """
    if y_true.ndim == 2:
        clipped = np.clip(probs, LEAST, 1 - LEAST)
        return -(y_true * np.log(clipped) + (1 - y_true) * np.log1p(-clipped)).mean(1)
    return -np.log(np.clip(probs[np.arange(len(y_true)), y_true], LEAST, 1))


def brier_scores(y_true: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Compute the Brier score of each row, shape (n,), as scikit-learn does: of two classes, only one counts.

    Args:
        y_true: class numbers, shape (n,), or zeros and ones, shape (n, labels).
        probs: shape (n, classes).
    """
    if y_true.ndim == 2:
        return ((probs - y_true) ** 2).mean(1)
    classes = probs.shape[1]
    squares = (probs - np.eye(classes)[y_true]) ** 2
    return squares.sum(1) / (2 if classes == 2 else 1)
