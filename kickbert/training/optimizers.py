"""Optimizers for a fastai Learner's `opt_func`, by name."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from fastai.optimizer import Lamb, OptimWrapper

from kickbert.utils.messages import nearest


class _Hypers(dict):
    """A group's hyperparameters by fastai's names. Setting one, as ReduceLROnPlateau does, takes effect."""

    def __init__(self, group: dict[str, Any]):
        mom, sqr_mom = group["betas"]
        super().__init__(lr=group["lr"], wd=group["weight_decay"], eps=group["eps"], mom=mom, sqr_mom=sqr_mom)
        self.group = group

    def __setitem__(self, name: str, value: float) -> None:
        super().__setitem__(name, value)
        self.group.update(lr=self["lr"], weight_decay=self["wd"], eps=self["eps"], betas=(self["mom"], self["sqr_mom"]))


class FusedAdamW(OptimWrapper):
    """torch's fused AdamW, one kernel call per step, behind fastai's interface."""

    @property
    def hypers(self) -> list[_Hypers]:
        """Hyperparameters of each group; fastai asks three times per step, and its own property is slow."""
        return [_Hypers(group) for group in self.opt.param_groups]


def adamw(groups: Sequence, lr: float, **kwargs: Any) -> FusedAdamW:
    """Make AdamW (Loshchilov and Hutter 2019) for a fastai Learner's `opt_func`.

    Args:
        groups: lists of parameters.
        lr: learning rate of all groups until a schedule sets another one.
        kwargs: as for `torch.optim.AdamW`.
    """
    return FusedAdamW(groups, opt=torch.optim.AdamW, lr=lr, fused=True, **kwargs)


class WithoutMomentum(OptimWrapper):
    """A torch optimizer without momentum, which fastai's schedules set nevertheless."""

    @property
    def hypers(self) -> list[dict[str, float]]:
        """Hyperparameters of each group by fastai's names."""
        return [{"mom": 0.0, **own} for own in super().hypers]

    def set_hyper(self, name: str, value: Any) -> None:
        """Set a hyperparameter in all groups."""
        if name != "mom":
            super().set_hyper(name, value)


OPTIMIZERS: dict[str, Callable] = {
    "adamw": adamw,
    "lamb": Lamb,  # You et al. 2020
    "adafactor": partial(WithoutMomentum, opt=torch.optim.Adafactor),  # Shazeer and Stern 2018
    "radam": partial(OptimWrapper, opt=torch.optim.RAdam, decoupled_weight_decay=True),  # Liu et al. 2020
}


def optimizer_by_name(optimizer: str | Callable) -> Callable:
    """Return a fastai `opt_func` by name; a function is returned as it is.

    Raises:
        ValueError: an unknown name; the message suggests the nearest one.
    """
    if callable(optimizer):
        return optimizer
    if optimizer not in OPTIMIZERS:
        hint = nearest(optimizer, OPTIMIZERS)
        raise ValueError(f"optimizer={optimizer!r} is not one of {list(OPTIMIZERS)}, nor a fastai opt_func{hint}")
    return OPTIMIZERS[optimizer]
