"""Metrics of what is decided, for fastai's table of epochs; and the thresholds of several labels."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from fastai.metrics import AccumMetric
from sklearn import metrics as skm

from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION, Target


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


PRIOR = 10.0  # positives that a label borrows from all the labels


def best_thresholds(probs: np.ndarray, truth: np.ndarray, prior: float = PRIOR) -> np.ndarray:
    """For each label the least probability to call a yes, such that its F1 is the largest.

    A label of few rows would get a threshold that fits those by chance. So each is judged as if it had `prior` more
    positives, with the hits and false alarms that all labels together have at that threshold: rare labels come out near
    the threshold that is best for all, frequent ones at their own.

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
    found = []
    for p, t in zip(probs.T, truth.T, strict=True):
        own = _Counts(p, t)
        cuts = np.append(own.cuts, usual)
        found.append(cuts[own.f1(cuts, together, prior).argmax()])
    return np.array(found)


class _Counts:
    """Hits and alarms of labels above any threshold.

    Args:
        probs: shape (n,).
        truth: bool, shape (n,).
    """

    def __init__(self, probs: np.ndarray, truth: np.ndarray):
        self.all, self.true = np.sort(probs), np.sort(probs[truth])
        levels = np.unique(probs)
        self.cuts = (levels + np.append(0.0, levels[:-1])) / 2  # halfway, so that a threshold does not rest on one row

    def above(self, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hits and alarms from each threshold on."""
        return tuple(len(x) - np.searchsorted(x, cuts) for x in (self.true, self.all))

    def f1(self, cuts: np.ndarray, others: "_Counts | None" = None, prior: float = 0.0) -> np.ndarray:
        """F1 at each threshold, with `prior` positives of others added."""
        (hits, alarms), positives = self.above(cuts), len(self.true)
        if others is not None and prior:
            share = prior / len(others.true)
            more = others.above(cuts)
            hits, alarms, positives = hits + share * more[0], alarms + share * more[1], positives + prior
        return 2 * hits / np.maximum(alarms + positives, 1e-12)
