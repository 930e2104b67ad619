"""A loss that turns NaN stops the training and costs nothing that was learnt before."""

import math

import torch
from fastai.callback.core import Callback, CancelFitException


class TrainingDiverged(ArithmeticError):
    """The training loss was not a finite number; the weights are those of the last good epoch."""


class Guard(Callback):
    """Keeps the trainable weights of the last good epoch, and goes back to them when the loss is no longer finite.

    `GradualLearner.fit` raises `TrainingDiverged` once fastai has wound down, when `error` is set.
    """

    order = 5  # before anything that would record or save the bad step

    def before_fit(self):
        self.error, self.idle = None, hasattr(self.learn, "lr_finder")  # lr_find means to diverge
        self._keep()

    def _keep(self):
        if not self.idle:
            self.good = {p: p.detach().clone() for p in self.model.parameters() if p.requires_grad}

    def after_loss(self):
        if self.idle or not self.training or math.isfinite(self.loss_grad.item()):
            return
        with torch.no_grad():
            for parameter, value in self.good.items():
                parameter.copy_(value)
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
        self.good = {}
