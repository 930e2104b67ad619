"""Callbacks of every learner: a guard against divergence, a check for collapse, a history; and a lean event loop."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback, CancelFitException, event
from fastai.learner import Learner, Recorder

from kickbert.targets.kinds import Target


class TrainingDiverged(ArithmeticError):
    """The training loss was not a finite number; the weights are those of the last good epoch."""


class Guard(Callback):
    """Restore the trainable weights of the last good epoch when training diverges: the loss is NaN or infinite.

    `GradualLearner.fit` raises `TrainingDiverged` once fastai has wound down, when `error` is set.
    """

    order = 5  # before anything that would record or save the bad step

    def before_fit(self):
        self.error, self.idle = None, hasattr(self.learn, "lr_finder")  # lr_find means to diverge
        self._keep()

    def _keep(self):
        if not self.idle:
            self.good_weights = {p: p.detach().clone() for p in self.model.parameters() if p.requires_grad}

    def after_loss(self):
        if self.idle or not self.training or math.isfinite(self.loss_grad.item()):
            return
        with torch.no_grad():
            for parameter, weights in self.good_weights.items():
                parameter.copy_(weights)
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
        names, values: of losses and metrics, a row of values per epoch.
    """

    title: str
    losses: list[float]
    rates: list[float]
    groups: list[str]
    shares: list[float]
    names: list[str]
    values: list[list[float]]


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
                list(recorder.metric_names[1:-1]),
                [[np.nan if v is None else float(v) for v in row] for row in recorder.values],
            )
        )


class LeanLearner(Learner):
    """A fastai Learner that calls, at each event, only the callbacks that handle it; everything else is fastai's."""

    def __call__(self, event_name: str | Sequence[str]) -> None:
        for name in [event_name] if isinstance(event_name, str) else event_name:
            self._call_one(name)

    def _call_one(self, event_name: str) -> None:
        # After the fit each callback, with or without the event, is to run again; and fastai knows what is no event.
        if event_name == "after_fit" or not hasattr(event, event_name):
            return super()._call_one(event_name)
        # A callback without the event would look for it through the learner and the model: 10 to 20 µs each time.
        handlers = [cb for cb in self.cbs if event_name in vars(cb) or hasattr(type(cb), event_name)]
        for cb in sorted(handlers, key=lambda cb: cb.order):
            cb(event_name)
