"""Dropout whose mask is cheap on a CPU: torch draws one number for each unit there, one after another."""

import torch
from torch import Tensor, nn


def keep_mask(shape: tuple[int, ...], p: float) -> tuple[Tensor, float]:
    """Which units stay: a random byte decides, eight of them from one draw, so that `p` is rounded to a 256th.

    Returns:
        A mask, bool, of the given shape; and the share that stays on average, by which the rest is divided.

    >>> keep, share = keep_mask((1000, 1000), 0.1)
    >>> share, abs(keep.float().mean().item() - share) < 0.01
    (0.8984375, True)
    """
    size = torch.Size(shape).numel()
    low = round(256 * p)
    words = torch.empty((size + 7) // 8, dtype=torch.int64).random_(-(2**63), None)  # all 64 bits
    return (words.view(torch.uint8)[:size] >= low).view(shape), 1 - low / 256


def drop(x: Tensor, keep: Tensor | None, share: float) -> Tensor:
    """x where the mask keeps it, scaled so that its mean stays; x itself when there is no mask."""
    return x if keep is None else x.mul(keep).div_(share)


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` (Srivastava et al. 2014) with a cheap mask on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not self.training or self.p == 0:
            return super().forward(x)
        return drop(x, *keep_mask(tuple(x.shape), self.p))


def use_dropout(module: nn.Module) -> None:
    """Exchange every `torch.nn.Dropout` inside for a cheap one."""
    for name, child in module.named_children():
        if type(child) is nn.Dropout:
            setattr(module, name, Dropout(child.p))
        else:
            use_dropout(child)
