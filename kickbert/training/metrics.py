"""fastai's table of epochs: metrics of decoded predictions, the recorder of its rows, their lines; scores of rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.callback.tracker import SaveModelCallback, TrackerCallback
from fastai.learner import Recorder
from fastai.metrics import AccumMetric
from fastcore.foundation import L
from sklearn import metrics as skm
from torch import Tensor

from kickbert.targets.base import Target


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
    """Accuracy and macro-F1 of classes, quadratic kappa too of ordered ones, F1 of labels, MAE and R² of numbers.

    They bear the names of `evaluate`'s scores.
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


def _in_unit(y_true: np.ndarray, y_pred: np.ndarray, measure: Callable, target: Target) -> float:
    """A regression metric of standardized numbers, in the target's own unit."""
    return measure(*(target.inverse_transform(numbers.reshape(-1).astype(float)) for numbers in (y_true, y_pred)))


class EpochRecorder(Recorder):
    """fastai's `Recorder`, whose rows have a value for each name: NaN for what an epoch did not compute.

    fastai leaves out what was skipped, cancelled or switched off, and the values after it stand under wrong names.

    Attributes:
        names: of losses and metrics.
        computed: of each epoch what it computed, by name.
        kept: number of the epoch whose weights the model has after the fit: -1, the last one, or the best one where a
            `SaveModelCallback` brought it back.
    """

    name = "recorder"

    def before_fit(self):
        super().before_fit()
        self.names = list(self.metric_names[1 : -1 if self.add_time else None])
        self.computed, self.kept = [], -1
        self._begin_epoch()
        monitors = [cb.monitor for cb in self.learn.cbs if isinstance(cb, TrackerCallback)]
        lacking = [name for name in monitors if name in self._halves()[1]]
        trains = not hasattr(self.learn, "gather_preds") and not hasattr(self.learn, "lr_finder")
        if lacking and trains and not len(self.dls.valid):
            raise ValueError(
                f"monitor={lacking[0]!r} is of validation rows, and there are none; give some (valid=0.15), or "
                "monitor='train_loss'"
            )

    def _begin_epoch(self):
        self.trains, self.halves = False, ([], [])

    def _halves(self) -> tuple[list[str], list[str]]:
        """Names of training and of validation."""
        training = 1 + self.train_metrics * len(self.metrics)
        return self.names[:training], self.names[training:]

    def before_train(self):
        self.trains = True
        super().before_train()

    def after_cancel_train(self):
        self.trains = True
        super().after_cancel_train()

    def after_cancel_epoch(self):
        self.trains = True

    def after_train(self):
        before = len(self.log)
        super().after_train()
        self.halves = (list(self.log[before:]), [])

    def after_validate(self):
        before = len(self.log)
        super().after_validate()
        self.halves = (self.halves[0], list(self.log[before:]))

    def after_epoch(self):
        if not self.trains:  # validation alone
            return super().after_epoch()
        row = []
        for names, values in zip(self._halves(), self.halves, strict=True):
            row += values or [None] * len(names)
        self.log = L([self.epoch, *row])
        super().after_epoch()
        self.values[-1] = L(np.nan if value is None else value for value in row)
        self.computed.append({n: value for n, value in zip(self.names, row, strict=True) if value is not None})
        self._begin_epoch()

    def after_fit(self):
        for cb in self.learn.cbs:
            if isinstance(cb, SaveModelCallback) and not (cb.every_epoch or cb.at_end):
                values = [row.get(cb.monitor) for row in self.computed]
                self.kept = values.index(cb.best) if cb.best in values else -1

    @property
    def final(self) -> dict[str, Any]:
        """Losses and metrics, by name, of the weights that the model has after the fit."""
        return self.computed[self.kept] if self.computed else {}


def epoch_line(names: list[str], values: list, title: str = "") -> str:
    """One line of a training log.

    >>> epoch_line(["epoch", "train_loss", "accuracy", "time"], [0, 1.25, 0.5, "00:03"], "1/2 head")
    '1/2 head  epoch 1  train_loss 1.2500  accuracy 0.5000  00:03'
    """
    fields = [title] if title else []
    for name, value in zip(names, values, strict=False):
        if name == "epoch":
            fields.append(f"epoch {value + 1}")
        elif name == "time":
            fields.append(str(value))
        elif value is not None:
            fields.append(f"{name} {value:.4f}")
    return "  ".join(fields)


class Progress(ProgressCallback):
    """fastai's progress bars; while `fit_gradual` runs, each epoch's line names its phase."""

    def _write_stats(self, log: list) -> None:
        if not self.learn.phase_title:
            super()._write_stats(log)
        elif log[0] != "epoch" and getattr(self, "mbar", None):  # the header's words are in each line already
            self.mbar.write(epoch_line(list(self.recorder.metric_names), log, self.learn.phase_title))


class NoBars(Callback):
    """In place of progress bars where nobody watches: what fastai's callbacks draw beside a bar is not drawn."""

    name = "progress"

    @property
    def mbar(self) -> "NoBars":
        """What has a bar's methods."""
        return self

    def update_graph(self, graphs: Any, x_bounds: Any = None, y_bounds: Any = None) -> None:
        """Draw nothing."""

    def write(self, line: Any, table: bool = False) -> None:
        """Write nothing: the epoch's line is printed."""


class RowScores(Callback):
    """Keeps how right each validation row's prediction is, 1 at best, for differences between rungs, row by row."""

    run_train = False

    def __init__(self, target: Target):
        self.target = target
        self.parts: list[np.ndarray] = []

    def anew(self) -> "RowScores":
        """Another one, of the same task."""
        return RowScores(self.target)

    def before_validate(self):
        self.parts = []

    def after_pred(self):
        loss = self.loss_func
        y_pred = loss.decodes(loss.activation(self.pred.detach().as_subclass(Tensor)))
        y_true = self.y.as_subclass(Tensor)
        self.parts.append(self.target.row_scores(y_true.float().cpu().numpy(), y_pred.float().cpu().numpy()))

    @property
    def scores(self) -> np.ndarray:
        """Of each row, shape (n,), in the order in which they are validated."""
        return np.concatenate(self.parts)


def difference(after: np.ndarray, before: np.ndarray) -> dict[str, float]:
    """The mean difference of paired scores in points, with its 95 % interval by the normal distribution."""
    differences = 100 * (after - before)
    mean, reach = differences.mean(), 1.96 * differences.std() / np.sqrt(len(differences))
    return {"gain": float(mean), "low": float(mean - reach), "high": float(mean + reach)}
