"""A guard against divergence: it restores the weights of the last good epoch."""

import math
from collections.abc import Iterable

import torch
from fastai.callback.core import Callback, CancelFitException
from torch import Tensor, nn


class TrainingDiverged(ArithmeticError):
    """The training loss was NaN or infinite; the model has the weights of the last good epoch."""


def snapshot(parameters: Iterable[nn.Parameter]) -> dict[nn.Parameter, Tensor]:
    """Copy parameters, for `restore`."""
    return {p: p.detach().clone() for p in parameters}


@torch.no_grad()
def restore(weights: dict[nn.Parameter, Tensor]) -> None:
    """Set parameters to their values in a `snapshot`."""
    for parameter, values in weights.items():
        parameter.copy_(values)


class Guard(Callback):
    """Restore the trainable weights of the last good epoch when the training loss is NaN or infinite.

    `GradualLearner.fit` raises `error`, if it is set, after fastai's cleanup, because fastai only cleans up after its
    own `CancelFitException`. Other callbacks that stop training set it too.
    """

    order = 5  # before callbacks that would record or save the bad step

    def before_fit(self):
        self.error = None
        self.idle = hasattr(self.learn, "lr_finder")  # lr_find diverges on purpose
        self._keep()

    def _keep(self):
        if not self.idle:
            self.good_weights = snapshot(p for p in self.model.parameters() if p.requires_grad)

    def after_loss(self):
        if self.idle or not self.training or math.isfinite(self.loss_grad.item()):
            return
        restore(self.good_weights)
        rate = max(h["lr"] for h in self.opt.hypers)
        self.error = TrainingDiverged(
            f"the training loss became {self.loss_grad.item()} at step {self.train_iter + 1}, with a learning rate of "
            f"{rate:.2g}. The weights of the last good epoch were restored. Train with a smaller rate (lr_find() "
            "suggests one), with precision='fp32', or with cbs=GradientClip(1.0)"
        )
        raise CancelFitException("the loss is not finite")

    def after_epoch(self):
        self._keep()

    def after_fit(self):
        self.good_weights = {}
