"""Class imbalance: class weights for the loss, and sampling weights for the rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kickbert.targets.base import Target
from kickbert.targets.labels import Labels


def _counts(codes: np.ndarray, classes: int) -> np.ndarray:
    return codes.sum(0) if codes.ndim == 2 else np.bincount(codes, minlength=classes)


def class_weights(weights: str | Mapping[Any, float] | None, target: Target, codes: np.ndarray) -> np.ndarray | None:
    """Compute the class weights of the loss.

    Args:
        weights: "balanced": rows / (classes * rows of the class), as in scikit-learn; for multi-label targets, rows
            without the label / rows with it. Or a dict from class to weight; missing classes have weight 1.
        target: the target.
        codes: codes of the training rows, shape (n,), or (n, labels) with zeros and ones.
    Returns:
        float32, shape (classes,); None if `weights` is None.
    Raises:
        ValueError: an unknown class, or a weight that is not a positive number.
    """
    if weights is None:
        return None
    if not isinstance(target, Labels):
        raise ValueError(f"class_weights={weights!r} requires a task with classes, not {target.task}")
    if isinstance(weights, Mapping):
        return _by_class(weights, target)
    if weights != "balanced":
        raise ValueError(f"class_weights={weights!r} must be 'balanced' or a dict from class to weight")
    counts = np.maximum(_counts(codes, len(target.names)), 1)
    scale = len(codes) - counts if target.is_multilabel else len(codes) / len(counts)
    return (np.maximum(scale, 1) / counts).astype(np.float32)


def _by_class(weights: Mapping[Any, float], target: Labels) -> np.ndarray:
    classes = list(target.classes)
    unknown = [c for c in weights if c not in classes]
    if unknown:
        raise ValueError(f"class_weights has the unknown class {unknown[0]!r}. Classes: {classes}")
    values = np.array([weights.get(c, 1.0) for c in classes], dtype=np.float32)
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"class_weights={dict(weights)}: weights must be positive numbers")
    return values


def row_weights(sampling: str | None, target: Target, codes: np.ndarray) -> np.ndarray | None:
    """Compute sampling weights: the probability of drawing each row for an epoch.

    Args:
        sampling: "balanced": every class is equally likely; a row with several labels is weighted by its rarest label.
            None reads each row once.
        target, codes: as in `class_weights`.
    Returns:
        float64, shape (n,), with sum 1; None if `sampling` is None.
    Raises:
        ValueError: another value, or a task without classes.
    """
    if sampling is None:
        return None
    if sampling != "balanced" or target.is_number:
        raise ValueError(
            f"sampling={sampling!r} must be None or 'balanced'. 'balanced' needs a task with classes, not {target.task}"
        )
    inverse = 1 / np.maximum(_counts(codes, len(target.names)), 1)
    weights = (codes * inverse).max(1) if codes.ndim == 2 else inverse[codes]
    weights[weights == 0] = inverse.min()  # rows without labels
    return weights / weights.sum()
