"""One encoder with the heads of several tasks: the encoder runs once, and each head reads the depths that it needs."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from kickbert.models.classifier import ProbabilityModel


class JointModel(nn.Module):
    """Several models with the same encoder; their probabilities are side by side.

    Args:
        models: at least one model. The encoder of the first runs for all.
    """

    def __init__(self, models: Sequence[ProbabilityModel]):
        super().__init__()
        self.encoder = models[0].encoder
        self.models = nn.ModuleList(models)
        heads = [model.head for model in models]
        self.taps = sorted({tap for head in heads for tap in head.taps})
        self.reads_first = all(head.reads_first for head in heads)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, document_weights: Tensor | None = None) -> Tensor:
        """Compute the probabilities of all tasks.

        Args:
            input_ids, attention_mask, document_weights: as for `ProbabilityModel`.
        Returns:
            float32, shape (rows, outputs of all tasks), or (documents, outputs of all tasks).
        """
        mask = attention_mask.bool()
        states = self.encoder(input_ids, mask, self.reads_first, self.taps).split(self.encoder.width, -1)
        by_depth = dict(zip([*self.taps, None], states, strict=True))  # None for the last layer
        answers = []
        for module in self.models:
            model = cast(ProbabilityModel, module)
            hidden = torch.cat([by_depth[depth] for depth in (*model.head.taps, None)], -1)
            answers.append(model.probabilities(hidden, mask, document_weights))
        return torch.cat(answers, -1)
