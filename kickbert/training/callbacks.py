"""Callbacks of every learner: a guard against divergence, a check for collapse, a history, bars; a lean event loop."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from fastai.callback.core import Callback, CancelFitException, event
from fastai.callback.fp16 import AMPMode, MixedPrecision
from fastai.callback.progress import ProgressCallback
from fastai.learner import Learner, Recorder
from fastai.torch_core import to_detach
from torch import Tensor, nn

from kickbert.targets.kinds import Target
from kickbert.training.run_logs import callbacks_by_name, end_logs
from kickbert.utils.hardware import choose_precision
from kickbert.utils.progress import say


class TrainingDiverged(ArithmeticError):
    """The training loss was not a finite number; the weights are those of the last good epoch."""


def kept_weights(parameters: Iterable[nn.Parameter]) -> dict[nn.Parameter, Tensor]:
    """Copies of parameters as they are now, for `bring_back`."""
    return {p: p.detach().clone() for p in parameters}


@torch.no_grad()
def bring_back(weights: dict[nn.Parameter, Tensor]) -> None:
    """Set parameters to what `kept_weights` kept of them."""
    for parameter, kept in weights.items():
        parameter.copy_(kept)


class Guard(Callback):
    """Restore the trainable weights of the last good epoch when training diverges: the loss is NaN or infinite.

    `GradualLearner.fit` raises `error`, if it is set, once fastai has wound down: fastai cleans up only after its own
    `CancelFitException`. Other callbacks that end a training set it too.
    """

    order = 5  # before anything that would record or save the bad step

    def before_fit(self):
        self.error, self.idle = None, hasattr(self.learn, "lr_finder")  # lr_find means to diverge
        self._keep()

    def _keep(self):
        if not self.idle:
            self.good_weights = kept_weights(p for p in self.model.parameters() if p.requires_grad)

    def after_loss(self):
        if self.idle or not self.training or math.isfinite(self.loss_grad.item()):
            return
        bring_back(self.good_weights)
        rates = [h["lr"] for h in self.opt.hypers]
        self.error = TrainingDiverged(
            f"the training loss became {self.loss_grad.item()} at step {self.train_iter + 1}, with a learning rate of "
            f"{max(rates):.2g}; the weights of the last good epoch are back. Train with a smaller rate (lr_find() "
            "suggests one), with precision='fp32', or with cbs=GradientClip(1.0)"
        )
        raise CancelFitException("the loss is not finite")

    def after_epoch(self):
        self._keep()

    def after_fit(self):
        self.good_weights = {}


class Collapse(Callback):
    """Detect a collapsed model, which predicts a constant: `message` says so once the last phase is over."""

    run_train = False
    LEAST = 20  # fewer rows may well be of one class

    def before_validate(self):
        self.rows, self.predicted = 0, None

    def after_pred(self):
        loss = self.loss_func
        if not hasattr(loss, "decodes"):
            return
        y_pred = loss.decodes(loss.activation(self.pred.detach().as_subclass(torch.Tensor)))
        self.rows += len(y_pred)
        self.predicted = torch.cat([y_pred[:0] if self.predicted is None else self.predicted, y_pred]).unique(dim=0)[:2]

    def message(self, target: Target) -> str | None:
        """A warning that all validation rows were predicted alike in the last epoch; None if they were not."""
        if getattr(self, "predicted", None) is None or len(self.predicted) > 1 or self.rows < self.LEAST:
            return None
        label = target.shown(self.predicted[0].numpy())
        return (
            f"the model predicts {label!r} for all {self.rows:,} validation rows: it has learnt no more than a "
            "constant; train longer or deeper, with another learning rate, or with class_weights='balanced'"
        )


@dataclass(frozen=True)
class Fit:
    """The learning curve of one fit.

    Args:
        title: of its phase; empty outside `fit_gradual`.
        losses: smoothed training loss after each step.
        rates: learning rate of the head at each step.
        groups: names of the layer groups that trained.
        shares: the learning rate of each of these over the head's.
        names, values: of losses and metrics, a row of values per epoch, NaN for what it did not compute.
        kept: number of the epoch whose weights the model had afterwards.
    """

    title: str
    losses: list[float]
    rates: list[float]
    groups: list[str]
    shares: list[float]
    names: list[str]
    values: list[list[float]]
    kept: int = -1

    @property
    def final(self) -> dict[str, float]:
        """Losses and metrics by name, of the weights that the model had afterwards."""
        return dict(zip(self.names, self.values[self.kept], strict=True))


class History(Callback):
    """Record the learning curve of each fit in `learn.history.fits`."""

    order = Recorder.order + 1

    def __init__(self):
        super().__init__()
        self.fits: list[Fit] = []

    def after_fit(self):
        recorder = self.learn.recorder
        # fastai calls this after validation too, when no step was taken
        if hasattr(self.learn, "lr_finder") or not recorder.values or not recorder.losses:
            return
        table: Any = self.learn.groups
        table = table[table["trainable"]]
        last = float(table["lr"].iloc[-1]) or 1.0
        self.fits.append(
            Fit(
                self.learn.phase_title,
                [float(loss) for loss in recorder.losses],
                [float(rate) for rate in recorder.lrs],
                table["group"].tolist(),
                [round(float(rate) / last, 6) for rate in table["lr"]],
                recorder.names,
                [[float(value) for value in row] for row in recorder.values],
                recorder.kept,
            )
        )


class LeanLearner(Learner):
    """A fastai Learner that calls, at each event, only the callbacks that handle it, and knows run logs by name."""

    def add_cbs(self, cbs: Any) -> "LeanLearner":
        """fastai's `add_cbs`, of callbacks and names of run logs."""
        return super().add_cbs(callbacks_by_name(cbs))

    def add_cb(self, cb: Any) -> "LeanLearner":
        """fastai's `add_cb`; its `MixedPrecision`, which `to_fp16` and `to_bf16` add, sets the model's own precision.

        The model's autocast, which the cache computes in as well, stands within that of `MixedPrecision`.
        """
        if cb is not MixedPrecision and not isinstance(cb, MixedPrecision):
            return super().add_cb(cb)
        half = cb is MixedPrecision or cb.amp_mode is AMPMode.FP16
        device = next(self.model.parameters()).device
        self.model.precision = choose_precision("auto" if half else "bf16", device)
        if half:
            say(f"fp16 is not computed in; bf16 and fp32 are, and on this machine it is {self.model.precision}")
        return self

    def to_fp32(self) -> "LeanLearner":
        """Compute in fp32 from here on."""
        self.model.precision = "fp32"
        return self

    @contextmanager
    def no_bar(self) -> Iterator["LeanLearner"]:
        """fastai's `no_bar`, which brings back the same bars."""
        with self.removed_cbs(self._grab_cbs(ProgressCallback)):
            yield self

    def freeze_to(self, n: int) -> None:
        """fastai's `freeze_to`, at once even in mid-epoch."""
        super().freeze_to(n)
        self.model.train(self.model.training)  # the model looks there which prefix is frozen

    @contextmanager
    def added_cbs(self, cbs: Any) -> Iterator[None]:
        """fastai's `added_cbs`, which the fit methods call, of callbacks and names of run logs."""
        named = callbacks_by_name(cbs)
        try:
            with super().added_cbs(named):
                yield
        finally:
            end_logs(named, keep=cbs)

    def __call__(self, event_name: str | Sequence[str]) -> None:
        for name in [event_name] if isinstance(event_name, str) else event_name:
            self._call_one(name)

    def to_detach(self, b: Any, cpu: bool = True, gather: bool = True) -> Any:
        """Detach tensors as fastai does, but never gather them: batches of several processes are whole already."""
        return to_detach(b, cpu, gather=False)

    def _call_one(self, event_name: str) -> None:
        # After the fit each callback, with or without the event, is to run again; and fastai knows what is no event.
        if event_name == "after_fit" or not hasattr(event, event_name):
            return super()._call_one(event_name)
        # A callback without the event would look for it through the learner and the model: 10 to 20 µs each time.
        handlers = [cb for cb in self.cbs if event_name in vars(cb) or hasattr(type(cb), event_name)]
        for cb in sorted(handlers, key=lambda cb: cb.order):
            cb(event_name)


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
