"""Dropout with masks from random bytes; on a CPU, torch draws one number per unit, which is slow."""

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

# Configuration names of the dropout inside the layers.
NAMES = {
    "attention_dropout",
    "attention_probs_dropout_prob",
    "dropout",
    "embedding_dropout",
    "hidden_dropout_prob",
    "mlp_dropout",
}


def keep_mask(shape: tuple[int, ...], p: float) -> tuple[Tensor, float]:
    """Draw a dropout mask: one random byte per unit, eight from each draw, so `p` is rounded to a multiple of 1/256.

    Args:
        shape: shape of the mask.
        p: probability of dropping a unit.
    Returns:
        The mask (bool, True for kept units), and the probability of being kept, by which kept units are divided.

    >>> keep, keep_prob = keep_mask((1000, 1000), 0.1)
    >>> keep_prob, abs(keep.float().mean().item() - keep_prob) < 0.01
    (0.8984375, True)
    """
    size = torch.Size(shape).numel()
    low = round(256 * p)
    words = torch.empty((size + 7) // 8, dtype=torch.int64).random_(-(2**63), None)  # all 64 bits
    return (words.view(torch.uint8)[:size] >= low).view(shape), 1 - low / 256


def drop(x: Tensor, keep: Tensor | None, keep_prob: float) -> Tensor:
    """Apply inverted dropout: x times the mask, divided by `keep_prob`; x itself if the mask is None."""
    return x if keep is None else x.mul(keep).div_(keep_prob)


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` (Srivastava et al. 2014), with the masks of `keep_mask` on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not self.training or self.p == 0:
            dropped: Tensor = super().forward(x)
            return dropped
        return drop(x, *keep_mask(tuple(x.shape), self.p))


def use_dropout(module: nn.Module) -> None:
    """Replace every `torch.nn.Dropout` inside a module with `Dropout`, in place."""
    for name, child in module.named_children():
        if type(child) is nn.Dropout:
            setattr(module, name, Dropout(child.p))
        else:
            use_dropout(child)


def set_dropout(config: PretrainedConfig, p: float) -> None:
    """Set the dropout of the layers in a configuration, in place."""
    for name in NAMES & set(config.to_dict()):
        setattr(config, name, p)
