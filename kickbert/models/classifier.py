"""An encoder with a classification head; its frozen prefix runs without gradient or is read from a cache.

`ProbabilityModel` is the part that is exported: token ids to calibrated probabilities.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kickbert.models.encoder import Encoder
from kickbert.models.head import Head
from kickbert.models.side_network import tapped_depths
from kickbert.targets.base import Target, for_target
from kickbert.targets.continuous import Continuous
from kickbert.targets.labels import Labels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.text.tokenization import PAD


class TextClassifier(nn.Module):
    """An encoder with a classification head: token ids to logits.

    The prefix below the lowest trainable group runs in evaluation mode and without gradient: frozen means frozen. Its
    depth follows from `requires_grad` whenever the model is set to training or evaluation mode.

    Args:
        encoder: the encoder.
        head: the head.
        precision: "fp32", or "bf16" for autocast. It belongs to the model rather than to a training callback, so that
            training, validation, cached prefixes and prediction compute the same numbers.

    Attributes:
        cached_states: function of token ids that returns their cached hidden states and the depth, or None.
    """

    cached_states: Callable[[Tensor], tuple[Tensor, int] | None] | None = None

    def __init__(self, encoder: Encoder, head: Head, precision: str = "fp32"):
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.precision = precision
        self._depth = self.frozen_depth

    def __getstate__(self) -> dict[str, Any]:
        # Cached states are training data in another form and not part of a saved model.
        return {name: value for name, value in self.__dict__.items() if name != "cached_states"}

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Group the parameters, from the embeddings to the head; each parameter is in exactly one group."""
        return {**self.encoder.groups(), "head": list(self.head.parameters())}

    @property
    def frozen_depth(self) -> int | None:
        """Number of layers frozen together with the embeddings; None if the embeddings train."""
        training = [any(p.requires_grad for p in group) for group in self.encoder.groups().values()]
        return [*training, True].index(True) - 1 if not training[0] else None

    def train(self, mode: bool = True) -> "TextClassifier":
        """Set training mode, except for the frozen prefix, which stays in evaluation mode."""
        super().train(mode)
        self._depth = self.frozen_depth
        if mode and self._depth is not None:
            self.encoder.eval()
            for layer in self.encoder.layers[self._depth :]:
                layer.train()
        return self

    def forward(self, x: Tensor, hidden: Tensor | None = None, depth: int = 0) -> Tensor:
        """Compute logits.

        Args:
            x: token ids, int64, shape (batch, tokens), -1 for padding. Documents in windows have the shape (batch,
                windows, tokens), with -1 everywhere in padding windows; their pooled windows are averaged.
            hidden: hidden states of these tokens at `depth`, after those of the head's taps below, if they are known:
                shape (batch, tokens, depths * width), or (batch, width) if they are pooled; for windows, shape (all
                windows without padding, ...).
            depth: number of layers below `hidden`.
        Returns:
            float32, shape (batch, classes).
        """
        x = x.as_subclass(Tensor)  # fastai's tensor type would dispatch each operation in Python
        if hidden is None and self.cached_states is not None:
            hidden, depth = self.cached_states(x) or (None, 0)
            if depth > (self._depth or 0):  # `freeze_to` during the epoch unfroze layers below
                hidden, depth = None, 0
        if x.dim() == 2:
            return self.head.classify(self.pool(x, hidden, depth))
        real = (x != PAD).any(-1)
        windows = self.pool(x[real], hidden, depth)
        parts = windows.new_zeros(*real.shape, windows.shape[-1]).masked_scatter(real.unsqueeze(-1), windows)
        return self.head.classify(parts.sum(1) / real.sum(1, keepdim=True))

    def pool(self, x: Tensor, hidden: Tensor | None = None, depth: int = 0) -> Tensor:
        """Compute the head's features, shape (batch, size), from token ids or states of `depth`, as in `forward`."""
        mask = x != PAD
        taps = self.head.taps
        if hidden is None and self._depth is not None:
            hidden, depth = self.states(x, self._depth, head_only=True, taps=taps), self._depth
        with self._autocast(x):
            if hidden is None:
                hidden = self.encoder(x, mask, self.head.reads_first, taps)
            elif hidden.dim() == 2:
                return hidden
            else:
                hidden = self.encoder.suffix(hidden, mask, depth, self.head.reads_first, taps)
            return self.head.features(hidden, mask)

    @torch.no_grad()
    def states(
        self,
        x: Tensor,
        depth: int,
        hidden: Tensor | None = None,
        start: int = 0,
        pooled: bool = False,
        head_only: bool = False,
        taps: Sequence[int] = (),
    ) -> Tensor:
        """Compute hidden states of `depth` without gradient.

        Args:
            x: token ids, int64, shape (batch, tokens), -1 for padding.
            depth: number of layers.
            hidden: hidden states of a shallower depth to start from; None to start from the token ids.
            start: depth of `hidden`.
            pooled: whether to pool them.
            head_only: whether the last layer may skip tokens that the head does not read.
            taps: depths below `depth` whose states come first; none with `pooled`.
        Returns:
            Shape (batch, tokens, depths * width), or (batch, width) if pooled.
        """
        x = x.as_subclass(Tensor)
        mask, first = x != PAD, (head_only or pooled) and self.head.reads_first
        with self._autocast(x):
            if hidden is None:
                hidden = self.encoder.prefix(x, mask, depth, first, taps)
            else:
                hidden = self.encoder.between(hidden, mask, start, depth, first, taps)
            return self.head.pool(hidden, mask) if pooled else hidden

    def use_side(self, wanted: bool) -> None:
        """Add a new side network to the head, or remove the one that it has; `GradualLearner.use_side` in training."""
        self.head.side = None
        if wanted:
            self.head.add_side(tapped_depths(self.encoder.n_layers))

    def _autocast(self, x: Tensor) -> torch.autocast:
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bf16")


def _softmax(logits: Tensor, temperature: float = 1.0) -> Tensor:
    return (logits / temperature).softmax(-1)


def _sigmoid(logits: Tensor, temperature: float = 1.0) -> Tensor:
    return (logits / temperature).sigmoid()


def _identity(numbers: Tensor, temperature: float = 1.0) -> Tensor:
    return numbers


# How logits become probabilities, or numbers: `Target.activate` in torch.
ACTIVATIONS: dict[type[Target], Callable[..., Tensor]] = {
    Labels: _softmax,
    MultiLabels: _sigmoid,
    Continuous: _identity,
}


class ProbabilityModel(nn.Module):
    """A classifier with temperature scaling (Guo et al. 2017) and softmax, or sigmoid for several labels, on top.

    Args:
        model: the classifier.
        target: the target, or its class.
        temperature: divisor of the logits.
    """

    def __init__(self, model: TextClassifier, target: Target | type[Target], temperature: float = 1.0):
        super().__init__()
        self.encoder = model.encoder
        self.head = model.head
        self.temperature = temperature
        self.activation = for_target(ACTIVATIONS, target)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, document_weights: Tensor | None = None) -> Tensor:
        """Compute class probabilities, or the standardized value for regression.

        Args:
            input_ids: int64, shape (rows, tokens).
            attention_mask: 1 at tokens, 0 at padding, int64, shape (rows, tokens).
            document_weights: for documents in windows, the weight of each row (window) in each document's mean,
                float32, shape (documents, rows); None if each row is a document.
        Returns:
            float32, shape (rows, classes), or (documents, classes).
        """
        mask = attention_mask.bool()
        hidden = self.encoder(input_ids, mask, self.head.reads_first, self.head.taps)
        return self.probabilities(hidden, mask, document_weights)

    def probabilities(self, hidden: Tensor, mask: Tensor, document_weights: Tensor | None = None) -> Tensor:
        """Compute the probabilities of `forward` from hidden states as `Head.features` reads them, and a mask."""
        pooled = self.head.features(hidden, mask).float()
        logits = self.head.classify(pooled if document_weights is None else document_weights @ pooled)
        probabilities: Tensor = self.activation(logits, self.temperature)
        return probabilities


def example_input(windows: bool, vocabulary: int = 34) -> tuple[Tensor, ...]:
    """Make example inputs of `ProbabilityModel` for tracing: three rows, or two documents in three windows.

    Args:
        windows: whether the model reads documents in windows.
        vocabulary: number of token embeddings.
    """
    ids = (torch.arange(24).reshape(3, 8) + 10) % vocabulary
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    document_weights = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    return (ids, mask, document_weights) if windows else (ids, mask)
