"""A ladder side network: a small transformer beside a frozen encoder, which reads its states at several depths.

    states of the tapped depths → projections, added from the shallowest on → attention and MLP at each → mean, maximum

After Sung, Cho and Bansal 2022 ("LST: Ladder Side-Tuning", section 3). No gradient passes through the encoder, so its
states can be computed once, and training costs a fraction of that of the encoder's layers.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

CHANNELS = 96  # width of the side network
HEADS = 4  # attention heads
EXPANSION = 4  # the MLP's hidden layer is so many times as wide
DROPOUT = 0.2
SHARES = (1 / 3, 2 / 3)  # tapped depths as shares of the encoder's layers; the last layer is always read


def tapped_depths(n_layers: int) -> tuple[int, ...]:
    """Choose the depths below the last layer whose states the side network reads.

    >>> tapped_depths(12)
    (4, 8)
    """
    return tuple(sorted({round(share * n_layers) for share in SHARES} - {0, n_layers}))


class SideBlock(nn.Module):
    """A transformer layer with normalization first (Xiong et al. 2020, section 3).

    Args:
        channels: width.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.attention_norm = nn.LayerNorm(channels)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.output = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, EXPANSION * channels),
            nn.GELU(),
            nn.Linear(EXPANSION * channels, channels),
        )

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Compute states of the same shape (batch, tokens, channels); `bias` is added to the attention scores."""
        heads = self.query_key_value(self.attention_norm(x)).unflatten(-1, (3, HEADS, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + bias
        x = x + self.output((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))
        return x + self.mlp(x)


class SideNetwork(nn.Module):
    """A ladder side network with a linear layer to logits, which are added to those of the head.

    The last layer starts at zero, so that a new side network changes no prediction.

    Args:
        width: size of the encoder's hidden states.
        outputs: number of logits.
        taps: depths below the last layer whose states it reads beside those of the last layer.
    """

    def __init__(self, width: int, outputs: int, taps: Sequence[int]):
        super().__init__()
        self.taps = tuple(taps)
        self.width = width
        self.size = 2 * CHANNELS  # number of features
        depths = len(self.taps) + 1
        self.projections = nn.ModuleList(nn.Linear(width, CHANNELS) for _ in range(depths))
        self.blocks = nn.ModuleList(SideBlock(CHANNELS) for _ in range(depths))
        self.norm = nn.LayerNorm(CHANNELS)
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(self.size, outputs)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def options(self) -> dict[str, Any]:
        """Return the arguments that recreate this network, apart from its sizes."""
        return {"taps": list(self.taps)}

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Compute pooled features.

        Args:
            states: states of the tapped depths and of the last layer, shape (batch, tokens, depths * width).
            mask: attention mask, bool, shape (batch, tokens).
        Returns:
            The mean and the maximum over the tokens, shape (batch, size).
        """
        bias = torch.zeros_like(mask, dtype=states.dtype).masked_fill(~mask, torch.finfo(states.dtype).min)
        bias = bias[:, None, None]
        x = torch.zeros((), dtype=states.dtype, device=states.device)
        for depth, (project, block) in enumerate(zip(self.projections, self.blocks, strict=True)):
            tapped = states[..., depth * self.width : (depth + 1) * self.width]
            x = x + project(F.layer_norm(tapped, (self.width,)))  # depths differ in scale
            x = block(x if depth else self.dropout(x), bias)
        x = self.norm(x).float()
        valid = mask.unsqueeze(-1)
        mean = (x * valid).sum(1) / valid.sum(1)
        return torch.cat([mean, x.masked_fill(~valid, -torch.inf).amax(1)], -1)

    def logits(self, features: Tensor) -> Tensor:
        """Compute logits, shape (batch, outputs), from the features of `forward`."""
        logits: Tensor = self.classifier(self.dropout(features))
        return logits
