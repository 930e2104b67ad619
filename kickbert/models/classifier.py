"""An encoder and a head as one model, of which a frozen prefix runs without gradient, or not at all."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kickbert.models.encoder import Encoder
from kickbert.models.head import Head
from kickbert.text.tokenization import PAD


class TextClassifier(nn.Module):
    """An encoder and a head, as one model from `Tokens` to logits.

    The part below the lowest trainable group is run without gradient and without dropout: frozen means frozen. Which
    part that is, is read off `requires_grad` whenever the model is set to training or evaluation.

    Args:
        precision: "fp32", or "bf16" for autocast. It belongs to the model, and not to a training callback, so that
            training, validation, cached prefixes and prediction all compute alike.

    Attributes:
        known_states: called with the token ids of a batch, it may give their states and the depth of these, or None.
    """

    known_states: Callable[[Tensor], tuple[Tensor, int] | None] | None = None

    def __init__(self, encoder: Encoder, head: Head, precision: str = "fp32"):
        super().__init__()
        self.encoder, self.head, self.precision = encoder, head, precision
        self._depth = self.frozen_depth

    def __getstate__(self) -> dict:
        # Whoever knows the states of a batch holds training data, which is no part of a saved model.
        return {name: value for name, value in self.__dict__.items() if name != "known_states"}

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by group, from the embeddings to the head; each parameter is in one group."""
        return {**self.encoder.groups(), "head": list(self.head.parameters())}

    @property
    def frozen_depth(self) -> int | None:
        """Depth up to which nothing trains; None when the embeddings train."""
        training = [any(p.requires_grad for p in group) for group in self.encoder.groups().values()]
        return [*training, True].index(True) - 1 if not training[0] else None

    def train(self, mode: bool = True) -> "TextClassifier":
        """Set training mode, of the trainable part only."""
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
            x: token ids, int64, shape (batch, tokens), -1 after a row's end; or (batch, windows, tokens), all -1 for a
                window that a document has not: the pooled windows of a document are averaged.
            hidden: the states of `depth` for these tokens, if they are known: shape (batch, tokens, width), or
                (batch, width) if they are pooled already; for windows, those that there are, one after another.
            depth: the depth of `hidden`.
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
        """What the frozen prefix of `depth` gives, from the tokens or from the states of a shallower depth `start`.

        Returns:
            Shape (batch, tokens, width), or (batch, width) if it is to be pooled.
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
