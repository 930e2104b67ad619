"""Dropout whose masks are random bytes: on a CPU torch draws a number for each unit, which is slow."""

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

# What architectures call the dropout of their layers.
NAMES = {
    "attention_dropout",
    "attention_probs_dropout_prob",
    "dropout",
    "embedding_dropout",
    "hidden_dropout_prob",
    "mlp_dropout",
}


def keep_mask(shape: tuple[int, ...], p: float) -> tuple[Tensor, float]:
    """A dropout mask: a random byte decides of each unit, eight of them from one draw, so `p` is rounded to a 256th.

    Args:
        shape: of the mask.
        p: probability with which a unit is dropped.
    Returns:
        The mask, bool, True for units that are kept; and the probability of being kept, by which those are divided.

    >>> keep, keep_prob = keep_mask((1000, 1000), 0.1)
    >>> keep_prob, abs(keep.float().mean().item() - keep_prob) < 0.01
    (0.8984375, True)
    """
    size = torch.Size(shape).numel()
    low = round(256 * p)
    words = torch.empty((size + 7) // 8, dtype=torch.int64).random_(-(2**63), None)  # all 64 bits
    return (words.view(torch.uint8)[:size] >= low).view(shape), 1 - low / 256


def drop(x: Tensor, keep: Tensor | None, keep_prob: float) -> Tensor:
    """Inverted dropout: x times the mask, divided by `keep_prob`; x itself when the mask is None."""
    return x if keep is None else x.mul(keep).div_(keep_prob)


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` (Srivastava et al. 2014) with the mask of `keep_mask` on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not self.training or self.p == 0:
            return super().forward(x)
        return drop(x, *keep_mask(tuple(x.shape), self.p))


def use_dropout(module: nn.Module) -> None:
    """Replace every `torch.nn.Dropout` within a module by `Dropout`, in place."""
    for name, child in module.named_children():
        if type(child) is nn.Dropout:
            setattr(module, name, Dropout(child.p))
        else:
            use_dropout(child)


def set_dropout(config: PretrainedConfig, p: float) -> None:
    """Set the dropout of an architecture's layers, in place."""
    for name in NAMES & set(config.to_dict()):
        setattr(config, name, p)
