"""Optimizers for fastai whose step costs little Python."""

from collections.abc import Sequence
from typing import Any

import torch
from fastai.optimizer import OptimWrapper


class FusedAdamW(OptimWrapper):
    """torch's fused AdamW: one call a step, not one per parameter."""

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
        lr: of all groups until a schedule says otherwise.
        kwargs: as for `torch.optim.AdamW`.
    """
    return FusedAdamW(groups, opt=torch.optim.AdamW, lr=lr, fused=True, **kwargs)
