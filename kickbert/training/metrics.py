"""Metrics of a fastai Learner, computed from decoded predictions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from fastai.metrics import AccumMetric
from sklearn import metrics as skm

from kickbert.targets.base import Target
from kickbert.targets.continuous import Continuous


class Decoded(AccumMetric):
    """A fastai metric of decoded predictions; fastai's own metrics take the argmax of the raw outputs.

    The loss function decodes: ordered classes by the median, several labels by their thresholds.

    Args:
        func: function of `y_true` and `y_pred`, such as scikit-learn's metrics.
        name: column name in the table.
        kwargs: further arguments of `func`.
    """

    def __init__(self, func: Callable[..., float], name: str | None = None, **kwargs: Any):
        super().__init__(func, to_np=True, invert_arg=True, flatten=False, name=name, **kwargs)

    def accumulate(self, learn: Any) -> None:
        """Store the predicted and true codes of a batch."""
        loss = learn.loss_func
        y_pred = loss.decodes(loss.activation(learn.pred.detach()))
        self.accum_values(y_pred, learn.y.as_subclass(torch.Tensor), learn)


def metrics_for(target: Target) -> list[Decoded]:
    """Make the metrics of a target, named like `evaluate`'s scores.

    Accuracy and macro-F1 for classes, with quadratic kappa for ordered ones; F1 for labels; MAE and R² for numbers.
    """
    if target.is_number:
        measures = {"mean absolute error": skm.mean_absolute_error, "R2": skm.r2_score}
        return [Decoded(_in_unit, name, measure=measure, target=target) for name, measure in measures.items()]
    if target.is_multilabel:
        averages = ("micro", "macro")
        return [Decoded(skm.f1_score, f"{average}-F1", average=average, zero_division=0) for average in averages]
    metrics = [Decoded(skm.accuracy_score, "accuracy"), Decoded(skm.f1_score, "macro-F1", average="macro")]
    if target.is_ordered:
        metrics.append(Decoded(skm.cohen_kappa_score, "quadratic kappa", weights="quadratic"))
    return metrics


def _in_unit(y_true: np.ndarray, y_pred: np.ndarray, measure: Callable, target: Continuous) -> float:
    """Compute a regression metric of standardized numbers in the target's unit."""
    return measure(*(target.inverse_transform(numbers.reshape(-1).astype(float)) for numbers in (y_true, y_pred)))
