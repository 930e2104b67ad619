"""Optimizers of torch for fastai, by name."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from fastai.optimizer import Lamb, OptimWrapper

from kickbert.utils.messages import nearest


class FusedAdamW(OptimWrapper):
    """torch's fused AdamW, one kernel call a step, behind fastai's interface."""

    @property
    def hypers(self) -> list[dict[str, float]]:
        """Hyperparameters of each group by fastai's names; fastai asks three times a step, and its own way is slow."""
        names = ("mom", "sqr_mom")
        return [
            {"lr": g["lr"], "wd": g["weight_decay"], "eps": g["eps"], **dict(zip(names, g["betas"], strict=True))}
            for g in self.opt.param_groups
        ]


def adamw(groups: Sequence, lr: float, **kwargs: Any) -> FusedAdamW:
    """AdamW (Loshchilov and Hutter 2019) for a fastai Learner's `opt_func`.

    Args:
        groups: lists of parameters.
        lr: learning rate of all groups until a schedule sets another.
        kwargs: as for `torch.optim.AdamW`.
    """
    return FusedAdamW(groups, opt=torch.optim.AdamW, lr=lr, fused=True, **kwargs)


class WithoutMomentum(OptimWrapper):
    """An optimizer of torch that has no momentum, which fastai's schedules set all the same."""

    @property
    def hypers(self) -> list[dict[str, float]]:
        """Hyperparameters of each group by fastai's names."""
        return [{"mom": 0.0, **own} for own in super().hypers]

    def set_hyper(self, name: str, value: Any) -> None:
        """Set one of them for all groups."""
        if name != "mom":
            super().set_hyper(name, value)


OPTIMIZERS: dict[str, Callable] = {
    "adamw": adamw,
    "lamb": Lamb,  # You et al. 2020
    "adafactor": partial(WithoutMomentum, opt=torch.optim.Adafactor),  # Shazeer and Stern 2018
    "radam": partial(OptimWrapper, opt=torch.optim.RAdam, decoupled_weight_decay=True),  # Liu et al. 2020
}


def optimizer_by_name(optimizer: str | Callable) -> Callable:
    """A fastai `opt_func` by its name; a function is returned as it is.

    Raises:
        ValueError: an unknown name; the nearest is offered.
    """
    if callable(optimizer):
        return optimizer
    if optimizer not in OPTIMIZERS:
        hint = nearest(optimizer, OPTIMIZERS)
        raise ValueError(f"optimizer={optimizer!r} is not one of {list(OPTIMIZERS)}, nor a fastai opt_func{hint}")
    return OPTIMIZERS[optimizer]
