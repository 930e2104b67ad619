"""Label noise: find labels that contradict the probabilities of models that were not trained on them."""

import numpy as np


def label_confidence(probs: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Look up the probability of each row's own label.

    Args:
        probs: shape (n, classes).
        codes: class numbers, shape (n,), or zeros and ones, shape (n, classes).
    Returns:
        Shape (n,); for several labels per row, the probability of the least likely one.

    >>> label_confidence(np.array([[0.9, 0.1], [0.7, 0.3]]), np.array([0, 1]))
    array([0.9, 0.3])
    """
    if codes.ndim == 2:
        return np.where(codes > 0.5, probs, 1 - probs).min(axis=1)
    return probs[np.arange(len(codes)), codes]


def suspected_errors(probs: np.ndarray, codes: np.ndarray, threshold: float | None = None) -> np.ndarray:
    """Find labels that are probably wrong (confident learning: Northcutt, Jiang and Chuang 2021, section 3.1).

    Their number is that of the labels for which another class is more probable and reaches its threshold. Among all
    labels that are not the most probable ones, those with the lowest probability relative to the mean of their class
    are suspected. With several labels per row, each label is judged by itself.

    Args:
        probs: out-of-fold probabilities, shape (n, classes).
        codes: class numbers, shape (n,), or zeros and ones, shape (n, classes).
        threshold: probability that the other class needs; by default the mean probability of that class among its own
            rows.
    Returns:
        Positions of the suspected rows, the least confident label first.

    >>> suspected_errors(np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.3, 0.7]]), np.array([0, 0, 1, 1]))
    array([2])
    """
    if codes.ndim == 2:
        columns = zip(probs.T, codes.T.astype(int), strict=True)
        judged = [_judge(np.stack([1 - p, p], 1), code, threshold) for p, code in columns]
        contradicted = np.any([contradicted for contradicted, _ in judged], axis=0)
        relative = np.min([relative for _, relative in judged], axis=0)
    else:
        contradicted, relative = _judge(probs, codes, threshold)
    rows = np.sort(np.argsort(relative, kind="stable")[: contradicted.sum()])
    return rows[np.argsort(label_confidence(probs, codes)[rows], kind="stable")]


def _judge(probs: np.ndarray, codes: np.ndarray, threshold: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Whether another class is likely, and the label's probability relative to its class; infinite if it is highest."""
    own = label_confidence(probs, codes)
    counts = np.bincount(codes, minlength=probs.shape[1])
    means = np.bincount(codes, own, minlength=len(counts)) / np.maximum(counts, 1)
    needed = means - 1e-9 if threshold is None else threshold  # the mean of equal numbers is rounded
    others = np.where((probs >= needed) & (counts > 0), probs, 0.0)
    others[np.arange(len(codes)), codes] = 0
    relative = np.where(own < probs.max(axis=1), own / np.maximum(means[codes], 1e-12), np.inf)
    return others.max(axis=1) > own, relative
