"""Callbacks: a guard against divergence, a check for collapse and a history of every learner; rates of a phase."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback, CancelFitException, CancelTrainException
from fastai.callback.schedule import ParamScheduler
from fastai.learner import Recorder
from torch import Tensor, nn

from kickbert.targets.base import Target
from kickbert.training.schedule import Phase


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


class Rates(ParamScheduler):
    """Sets a phase's learning rates, step by step.

    Rates go by the position in the phase: the share of its steps or, if that is more, of its seconds.

    Args:
        phase: whose rates they are.
        groups: number of layer groups.
        seconds: after which its training ends, if its steps have not; None for no end but theirs.
    """

    def __init__(self, phase: Phase, groups: int, seconds: float | None = None):
        super().__init__({"lr": lambda at: np.array(phase.rates_at(at, groups))})
        self.seconds, self.start = seconds, None

    def before_batch(self):
        """Set the rates. Time counts from the first batch on, when what is frozen has been computed."""
        self.start = self.start or time.perf_counter()
        share = (time.perf_counter() - self.start) / self.seconds if self.seconds else 0.0
        if share >= 1:
            raise CancelTrainException
        self._update_val(max(self.pct_train, share))
