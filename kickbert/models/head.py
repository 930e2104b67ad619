"""Classification heads: hidden states → pooling → dropout → linear → logits."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

from kickbert.models.logistic_regression import fit_logistic
from kickbert.models.side_network import SideNetwork


def pool_cls(hidden: Tensor, mask: Tensor) -> Tensor:
    """Return the first token's state, as in BERT (Devlin et al. 2019, section 3)."""
    return hidden[:, 0]


def pool_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Average over the tokens, as sentence encoders do (Reimers and Gurevych 2019, section 3)."""
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1)


def pool_max(hidden: Tensor, mask: Tensor) -> Tensor:
    """Take the maximum of each unit over the tokens."""
    return hidden.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1)


class AttentionPool(nn.Module):
    """A mean over the tokens, weighted by learned scores (Yang et al. 2016, section 2.2)."""

    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        weight: Tensor = self.score(hidden).masked_fill(~mask.unsqueeze(-1), -torch.inf).softmax(1)
        return (hidden * weight).sum(1)


POOLS = {"cls": pool_cls, "mean": pool_mean, "max": pool_max}  # poolings without parameters
POOLINGS = (*POOLS, "attention")
# Named as in transformers; "gelu_new" approximates gelu by tanh.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
}


class Corn(nn.Module):
    """CORN's link function (Shi, Cao and Raschka 2021, section 3.3): K - 1 conditional logits to K log-probabilities.

    Logit k means "above rank k, given at least rank k". Cross entropy of the log-probabilities is CORN's loss;
    elsewhere they replace the class logits.

    >>> Corn()(torch.zeros(1, 2)).exp()
    tensor([[0.5000, 0.2500, 0.2500]])
    """

    def forward(self, x: Tensor) -> Tensor:
        log_above = F.logsigmoid(x).cumsum(-1)
        log_stop = F.logsigmoid(-x)
        return torch.cat([log_stop[..., :1], log_above[..., :-1] + log_stop[..., 1:], log_above[..., -1:]], -1)


class Head(nn.Module):
    """Pooling, then dropout and a linear layer, or two linear layers with an activation between.

    Args:
        width: size of a hidden state.
        classes: number of logits.
        pooling: "cls", "mean", "max" or "attention".
        dropout: share of units dropped in training, 0 to 1.
        layers: 1, or 2 for pre_classifier, activation, dropout, classifier (as in DistilBERT's classifier).
        ordinal: whether the classes are ranks, predicted by `Corn`.
        activation: activation between two layers, a name of `ACTIVATIONS`.
        normalize: whether to scale pooled states to length one first, as sentence encoders do.
        side: options of a side network whose logits are added; None for none.
    Raises:
        ValueError: an unknown pooling or activation, or a number out of range.
    """

    def __init__(
        self,
        width: int,
        classes: int,
        pooling: str = "cls",
        dropout: float = 0.1,
        layers: int = 1,
        ordinal: bool = False,
        activation: str = "relu",
        normalize: bool = False,
        side: dict[str, Any] | None = None,
    ):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling={pooling!r} is not one of {list(POOLINGS)}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout} is not between 0 and 1")
        if layers not in (1, 2):
            raise ValueError(f"head_layers={layers} is not 1 or 2")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r} is not one of {list(ACTIVATIONS)}")
        self.pooling = pooling
        self.activation = activation
        self.normalize = normalize
        self.pool = POOLS.get(pooling) or AttentionPool(width)
        self.pre_classifier = nn.Linear(width, width) if layers == 2 else None
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes - ordinal)
        self.link = Corn() if ordinal else nn.Identity()
        self.width = width
        self.side: SideNetwork | None = None
        if side is not None:
            self.add_side(**side)

    def add_side(self, taps: Sequence[int]) -> None:
        """Add a new side network, whose logits are zero at first; arguments as for `SideNetwork`."""
        side = SideNetwork(self.width, self.classifier.out_features, taps)
        self.side = side.to(self.classifier.weight.device).train(self.training)

    @property
    def size(self) -> int:
        """Number of features that `classify` reads."""
        return self.width if self.side is None else self.width + self.side.size

    @property
    def taps(self) -> tuple[int, ...]:
        """Depths below the last layer whose states the head reads beside those of the last layer."""
        return () if self.side is None else self.side.taps

    @property
    def has_fixed_pool(self) -> bool:
        """Whether the pooling has no parameters."""
        return self.pool is POOLS.get(self.pooling)

    @property
    def pools_last(self) -> bool:
        """Whether all that the head reads is the last layer's states, pooled without parameters."""
        return self.side is None and self.has_fixed_pool

    @property
    def reads_first(self) -> bool:
        """Whether the head reads only the first token's state."""
        return self.pools_last and self.pool is pool_cls

    def options(self) -> dict[str, Any]:
        """Return the arguments that recreate this head, apart from its size."""
        return {
            "pooling": self.pooling,
            "dropout": self.dropout.p,
            "layers": 1 if self.pre_classifier is None else 2,
            "ordinal": isinstance(self.link, Corn),
            "activation": self.activation,
            "normalize": self.normalize,
            "side": None if self.side is None else self.side.options(),
        }

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Compute logits, float32, shape (batch, classes); arguments as for `features`."""
        return self.classify(self.features(hidden, mask))

    def features(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Compute pooled states, shape (batch, width), followed by the side network's features, if there is one.

        Args:
            hidden: states of the last layer, shape (batch, tokens, width); with a side network those of its tapped
                depths come first, shape (batch, tokens, depths * width).
            mask: attention mask, bool, shape (batch, tokens).
        """
        pooled: Tensor = self.pool(hidden[..., -self.width :], mask)
        return pooled if self.side is None else torch.cat([pooled, self.side(hidden, mask).to(pooled.dtype)], -1)

    def classify(self, features: Tensor) -> Tensor:
        """Compute logits from the features of `features`, in fp32, so that logits are not rounded."""
        with torch.autocast(features.device.type, enabled=False):
            pooled = features[..., : self.width].float()
            if self.normalize:
                pooled = F.normalize(pooled, dim=-1)
            if self.pre_classifier is not None:
                pooled = ACTIVATIONS[self.activation](self.pre_classifier(pooled))
            logits: Tensor = self.classifier(self.dropout(pooled))
            if self.side is not None:
                logits = logits + self.side.logits(features[..., self.width :].float())
            linked: Tensor = self.link(logits)
            return linked

    def fit(self, embeddings: np.ndarray, targets: np.ndarray, c: float = 1.0) -> None:
        """Set the linear layer to a scikit-learn logistic regression.

        Args:
            embeddings: pooled states, normalized if the head normalizes them, shape (n, width).
            targets: class numbers, shape (n,), or zeros and ones, shape (n, labels).
            c: inverse strength of the L2 regularization.
        Raises:
            ValueError: the head has two layers.
        """
        if self.pre_classifier is not None:
            raise ValueError("a logistic regression needs a head with one layer; make the learner with head_layers=1")
        weight, bias = fit_logistic(embeddings, targets, self.classifier.out_features, c)
        with torch.no_grad():
            self.classifier.weight.copy_(torch.from_numpy(weight))
            self.classifier.bias.copy_(torch.from_numpy(bias))
