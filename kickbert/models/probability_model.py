"""Token ids to calibrated probabilities in one module: what is exported, and what predicts with torch."""

import torch
from torch import Tensor, nn

from kickbert.models.classifier import TextClassifier
from kickbert.targets.kinds import MULTI, REGRESSION


class ProbabilityModel(nn.Module):
    """A classifier with temperature scaling (Guo et al. 2017) and softmax, or sigmoid for several labels, on top.

    Args:
        model: encoder and head.
        task: of the target.
        temperature: by which logits are divided.
    """

    def __init__(self, model: TextClassifier, task: str, temperature: float = 1.0):
        super().__init__()
        self.encoder, self.head, self.task, self.temperature = model.encoder, model.head, task, temperature

    def forward(self, input_ids: Tensor, attention_mask: Tensor, document_weights: Tensor | None = None) -> Tensor:
        """Probabilities of classes; for regression the standardised number.

        Args:
            input_ids: int64, shape (rows, tokens).
            attention_mask: 1 at tokens, 0 at padding, int64, shape (rows, tokens).
            document_weights: for documents in windows, the weight of each row (window) in the mean of each document,
                float32, shape (documents, rows); None where each row is a document.
        Returns:
            float32, shape (rows, classes), or (documents, classes).
        """
        mask = attention_mask.bool()
        pooled = self.head.pool(self.encoder(input_ids, mask), mask).float()
        logits = self.head.classify(pooled if document_weights is None else document_weights @ pooled)
        if self.task == REGRESSION:
            return logits
        logits = logits / self.temperature
        return logits.sigmoid() if self.task == MULTI else logits.softmax(-1)


def example_input(windows: bool) -> tuple[Tensor, ...]:
    """Example inputs of `ProbabilityModel`, for tracing: three rows, and with windows two documents of them."""
    ids = torch.arange(24).reshape(3, 8) + 10
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    document_weights = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    return (ids, mask, document_weights) if windows else (ids, mask)
