"""Hidden states to logits: pooling, dropout, linear. `TextClassifier` is an encoder and a head."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

from kickbert.models.encoder import Encoder
from kickbert.text.tokenization import PAD


def pool_cls(hidden: Tensor, mask: Tensor) -> Tensor:
    """The first token's state, as BERT's authors do (Devlin et al. 2019, section 3)."""
    return hidden[:, 0]


def pool_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """The mean over the tokens, as sentence encoders do (Reimers and Gurevych 2019, section 3)."""
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1)


def pool_max(hidden: Tensor, mask: Tensor) -> Tensor:
    """The largest value of each unit over the tokens."""
    return hidden.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1)


class AttentionPool(nn.Module):
    """A mean over the tokens, weighted by a learnt score of each (Yang et al. 2016, section 2.2)."""

    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        weight = self.score(hidden).masked_fill(~mask.unsqueeze(-1), -torch.inf).softmax(1)
        return (hidden * weight).sum(1)


POOLINGS = ("cls", "mean", "max", "attention")


class Corn(nn.Module):
    """CORN (Shi, Cao and Raschka 2021, section 3.3): K - 1 answers to "is it above this rank, if it reaches it?".

    It gives the log-probabilities of the K ranks, so cross entropy of them is CORN's loss, and everything that takes
    logits of classes takes these.

    >>> Corn()(torch.zeros(1, 2)).exp()
    tensor([[0.5000, 0.2500, 0.2500]])
    """

    def forward(self, x: Tensor) -> Tensor:
        above = F.logsigmoid(x).cumsum(-1)
        here = F.logsigmoid(-x)
        return torch.cat([here[..., :1], above[..., :-1] + here[..., 1:], above[..., -1:]], -1)


class Head(nn.Module):
    """Pooling, then dropout and a linear layer, or two linear layers with an activation between.

    Args:
        width: size of a hidden state.
        classes: number of logits.
        pooling: "cls", "mean", "max" or "attention".
        dropout: share of units dropped in training, 0 to 1.
        layers: 1, or 2 for pre_classifier, ReLU, dropout, classifier (as in DistilBERT's classifier).
        ordinal: whether the classes are ranks, and `Corn` tells them apart.
    Raises:
        ValueError: an unknown pooling, or a number out of range.
    """

    def __init__(
        self,
        width: int,
        classes: int,
        pooling: str = "cls",
        dropout: float = 0.1,
        layers: int = 1,
        ordinal: bool = False,
    ):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling={pooling!r} is not one of {list(POOLINGS)}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout} is not between 0 and 1")
        if layers not in (1, 2):
            raise ValueError(f"head_layers={layers} is not 1 or 2")
        plain = {"cls": pool_cls, "mean": pool_mean, "max": pool_max}
        self.pooling = pooling
        self.pool = plain.get(pooling) or AttentionPool(width)
        self.pre_classifier = nn.Linear(width, width) if layers == 2 else None
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes - ordinal)
        self.link = Corn() if ordinal else nn.Identity()

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Logits, float32, shape (batch, classes), from states of shape (batch, tokens, width) and their mask."""
        return self.classify(self.pool(hidden, mask))

    def classify(self, pooled: Tensor) -> Tensor:
        """Logits from pooled states, shape (batch, width): in fp32, for little work and no rounding of the logits."""
        with torch.autocast(pooled.device.type, enabled=False):
            pooled = pooled.float()
            if self.pre_classifier is not None:
                pooled = self.pre_classifier(pooled).relu()
            return self.link(self.classifier(self.dropout(pooled)))


class TextClassifier(nn.Module):
    """An encoder and a head, as one model from `Tokens` to logits.

    The part below the lowest trainable group is run without gradient and without dropout: frozen means frozen. Which
    part that is, is read off `requires_grad` whenever the model is set to training or evaluation.

    Args:
        precision: "fp32", or "bf16" for autocast. It belongs to the model, and not to a training callback, so that
            training, validation, cached prefixes and prediction all compute alike.
    """

    def __init__(self, encoder: Encoder, head: Head, precision: str = "fp32"):
        super().__init__()
        self.encoder, self.head, self.precision = encoder, head, precision
        self._depth = self.frozen_depth

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
            self.encoder.body.eval()
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
