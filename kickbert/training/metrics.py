"""Metrics of decoded predictions, for fastai's table of epochs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from fastai.metrics import AccumMetric
from sklearn import metrics as skm

from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION, Target


class Decoded(AccumMetric):
    """A fastai metric of decoded predictions, in place of fastai's own, which take the argmax of the raw outputs.

    The loss function decodes: ordered classes by the median, several labels by their thresholds.

    Args:
        func: of `y_true` and `y_pred`, as scikit-learn's.
        name: in the table.
        kwargs: of `func`.
    """

    def __init__(self, func: Callable[..., float], name: str | None = None, **kwargs: Any):
        super().__init__(func, to_np=True, invert_arg=True, flatten=False, name=name, **kwargs)

    def accumulate(self, learn: Any) -> None:
        """Keep a batch's predicted and true codes."""
        loss = learn.loss_func
        y_pred = loss.decodes(loss.activation(learn.pred.detach()))
        self.accum_values(y_pred, learn.y.as_subclass(torch.Tensor), learn)


def metrics_for(target: Target) -> list[Decoded]:
    """Accuracy and macro-F1 of classes, quadratic kappa too of ordered ones, F1 of labels, MAE and R² of numbers."""
    if target.task == REGRESSION:
        measures = {"mae": skm.mean_absolute_error, "r2": skm.r2_score}
        return [Decoded(_in_unit, name, measure=measure, target=target) for name, measure in measures.items()]
    if target.task == MULTI:
        averages = ("micro", "macro")
        return [Decoded(skm.f1_score, f"f1_{average}", average=average, zero_division=0) for average in averages]
    metrics = [Decoded(skm.accuracy_score, "accuracy"), Decoded(skm.f1_score, "f1_score", average="macro")]
    if target.task == ORDINAL:
        metrics.append(Decoded(skm.cohen_kappa_score, "cohen_kappa_score", weights="quadratic"))
    return metrics


def _in_unit(y_true: np.ndarray, y_pred: np.ndarray, measure: Callable, target: Target) -> float:
    """A regression metric of standardized numbers, in the target's own unit."""
    return measure(*(target.inverse_transform(numbers.reshape(-1).astype(float)) for numbers in (y_true, y_pred)))
