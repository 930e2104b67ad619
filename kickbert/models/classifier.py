"""An encoder with a classification head, whose frozen prefix runs without gradient, or is read from a cache."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kickbert.models.encoder import Encoder
from kickbert.models.head import Head
from kickbert.text.tokenization import PAD


class TextClassifier(nn.Module):
    """An encoder with a classification head: token ids to logits.

    The prefix below the lowest trainable group runs in evaluation mode and without gradient: frozen means frozen. Its
    depth is read off `requires_grad` whenever the model is set to training or evaluation mode.

    Args:
        precision: "fp32", or "bf16" for autocast. It belongs to the model, and not to a training callback, so that
            training, validation, cached prefixes and prediction all compute alike.

    Attributes:
        known_states: returns the hidden states of a batch of token ids, if they are cached, and their depth; else None.
    """

    known_states: Callable[[Tensor], tuple[Tensor, int] | None] | None = None

    def __init__(self, encoder: Encoder, head: Head, precision: str = "fp32"):
        super().__init__()
        self.encoder, self.head, self.precision = encoder, head, precision
        self._depth = self.frozen_depth

    def __getstate__(self) -> dict:
        # What is cached is training data in another form, which is no part of a saved model.
        return {name: value for name, value in self.__dict__.items() if name != "known_states"}

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by group, from the embeddings to the head; each parameter is in one group."""
        return {**self.encoder.groups(), "head": list(self.head.parameters())}

    @property
    def frozen_depth(self) -> int | None:
        """Number of layers that are frozen together with the embeddings; None when the embeddings train."""
        training = [any(p.requires_grad for p in group) for group in self.encoder.groups().values()]
        return [*training, True].index(True) - 1 if not training[0] else None

    def train(self, mode: bool = True) -> "TextClassifier":
        """Set training mode, but for the frozen prefix, which stays in evaluation mode."""
        super().train(mode)
        self._depth = self.frozen_depth
        if mode and self._depth is not None:
            self.encoder.eval()
            for layer in self.encoder.layers[self._depth :]:
                layer.train()
        return self

    def forward(self, x: Tensor, hidden: Tensor | None = None, depth: int = 0) -> Tensor:
        """Logits.

        Args:
            x: token ids, int64, shape (batch, tokens), -1 for padding; or of documents in windows (batch, windows,
                tokens), all -1 for windows of padding: the pooled windows of a document are averaged.
            hidden: hidden states of these tokens at `depth`, if they are known: shape (batch, tokens, width), or
                (batch, width) if they are pooled; of windows without those of padding, shape (all windows, ...).
            depth: number of layers below `hidden`.
        Returns:
            float32, shape (batch, classes).
        """
        x = x.as_subclass(Tensor)  # fastai's tensor type would dispatch each operation in Python
        if hidden is None and self.known_states is not None:
            hidden, depth = self.known_states(x) or (None, 0)
        if x.dim() == 2:
            return self.head.classify(self._pooled(x, hidden, depth))
        real = (x != PAD).any(-1)
        windows = self._pooled(x[real], hidden, depth)
        parts = windows.new_zeros(*real.shape, windows.shape[-1]).masked_scatter(real.unsqueeze(-1), windows)
        return self.head.classify(parts.sum(1) / real.sum(1, keepdim=True))

    def _pooled(self, x: Tensor, hidden: Tensor | None, depth: int) -> Tensor:
        mask = x != PAD
        if hidden is None and self._depth is not None:
            hidden, depth = self.states(x, self._depth), self._depth
        with self._arithmetic(x):
            if hidden is None:
                return self.head.pool(self.encoder(x, mask), mask)
            if hidden.dim() == 2:
                return hidden
            return self.head.pool(self.encoder.suffix(hidden, mask, depth), mask)

    @torch.no_grad()
    def states(
        self, x: Tensor, depth: int, hidden: Tensor | None = None, start: int = 0, pooled: bool = False
    ) -> Tensor:
        """Hidden states of `depth`, computed without gradient.

        Args:
            x: token ids, int64, shape (batch, tokens), -1 for padding.
            depth: number of layers.
            hidden: hidden states of a shallower depth to start from; None to start from the token ids.
            start: depth of `hidden`.
            pooled: whether to pool them.
        Returns:
            Shape (batch, tokens, width), or (batch, width) if pooled.
        """
        x = x.as_subclass(Tensor)
        mask = x != PAD
        with self._arithmetic(x):
            if hidden is None:
                hidden = self.encoder.prefix(x, mask, depth)
            else:
                hidden = self.encoder.between(hidden, mask, start, depth)
            return self.head.pool(hidden, mask) if pooled else hidden

    def _arithmetic(self, x: Tensor) -> torch.autocast:
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bf16")
