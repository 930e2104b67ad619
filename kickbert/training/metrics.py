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
    return measure(*(target.inverse_transform(numbers.reshape(-1).astype(float)) for numbers in (truth, decided)))
