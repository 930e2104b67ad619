"""Metrics of what is decided, for fastai's table of epochs; and the thresholds of several labels."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from fastai.metrics import AccumMetric
from sklearn import metrics as skm

from kickbert.targets import MULTI, ORDINAL, REGRESSION, Target


class Decoded(AccumMetric):
    """A fastai metric of decisions: the loss function says how raw outputs become them.

    fastai's own take the largest output, which is not how ordered classes or several labels are decided.

    Args:
        func: of what is true and what was decided, as scikit-learn's.
        name: in the table.
        kwargs: of `func`.
    """

    def __init__(self, func: Callable[..., float], name: str | None = None, **kwargs: Any):
        super().__init__(func, to_np=True, invert_arg=True, flatten=False, name=name, **kwargs)

    def accumulate(self, learn: Any) -> None:
        """Keep a batch's decisions and truths."""
        loss = learn.loss_func
        decided = loss.decodes(loss.activation(learn.pred.detach()))
        self.accum_values(decided, learn.y.as_subclass(torch.Tensor), learn)


def metrics_for(target: Target) -> list[Decoded]:
    """Accuracy and macro-F1 of classes, kappa too of ordered ones, F1 of labels, error of numbers."""
    if target.task == REGRESSION:
        measures = {"mae": skm.mean_absolute_error, "r2": skm.r2_score}
        return [Decoded(_in_unit, name, measure=measure, target=target) for name, measure in measures.items()]
    if target.task == MULTI:
        return [Decoded(skm.f1_score, f"f1_{how}", average=how, zero_division=0) for how in ("micro", "macro")]
    found = [Decoded(skm.accuracy_score, "accuracy"), Decoded(skm.f1_score, "f1_score", average="macro")]
    if target.task == ORDINAL:
        found.append(Decoded(skm.cohen_kappa_score, "cohen_kappa_score", weights="quadratic"))
    return found


def _in_unit(truth: np.ndarray, decided: np.ndarray, measure: Callable, target: Target) -> float:
    """A measure of standardised numbers, in the target's own unit."""
    return measure(*(target.unscaled(numbers.reshape(-1).astype(float)) for numbers in (truth, decided)))


def best_thresholds(probs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """For each label the least probability to call a yes, such that its F1 is the largest.

    Halfway to the next lower probability, so that it does not rest on one row; 0.5 for a label that no row has.

    Args:
        probs: shape (n, labels).
        truth: zeros and ones, shape (n, labels).
    Returns:
        Shape (labels,).

    >>> best_thresholds(np.array([[0.1], [0.2], [0.4], [0.3]]), np.array([[0], [0], [1], [1]])).round(2)
    array([0.25])
    """
    return np.array([_best_threshold(p, t.astype(bool)) for p, t in zip(probs.T, truth.T, strict=True)])


def _best_threshold(probs: np.ndarray, truth: np.ndarray) -> float:
    if not truth.any():
        return 0.5
    order = np.argsort(-probs, kind="stable")
    p, hits = probs[order], np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(p) + 1) + truth.sum())
    last = np.append(p[1:] < p[:-1], True)  # a threshold cannot part equal probabilities
    best = int(np.where(last, f1, -1).argmax())
    return float((p[best] + (p[best + 1] if best + 1 < len(p) else 0.0)) / 2)
