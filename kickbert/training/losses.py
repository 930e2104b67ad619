"""Losses: what the model says and what is true to a number; how raw outputs become probabilities, and those decisions.

Each is a fastai loss: `activation` gives probabilities, `decodes` what is decided by them. `temperature`, which raw
outputs are divided by before they become probabilities, is 1 until `kickbert.calibrate` has fitted it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from fastai.losses import BaseLoss
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION, SINGLE, median_class
from kickbert.utils.messages import nearest

FITTED = ("temperature", "thresh")  # attributes of a loss that are fitted after training, which does not depend on them


class Reduced(nn.Module):
    """A loss of each row, or of each row and label, reduced as torch's own losses are."""

    reduction: str

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        loss = self.each(logits, targets)
        return loss if self.reduction == "none" else loss.mean() if self.reduction == "mean" else loss.sum()


class Focal(Reduced):
    """Cross entropy in which rows that are right already count little (Lin et al. 2017, equation 5).

    Args:
        gamma: exponent; 0 for cross entropy.
        weight: of each class, shape (classes,). fastai's focal loss takes it for a part of the probability.
    """

    def __init__(self, gamma: float = 2.0, weight: Tensor | None = None, reduction: str = "mean"):
        super().__init__(reduction)
        self.gamma = gamma
        self.register_buffer("weight", weight)

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        ce = F.cross_entropy(logits, targets, reduction="none")
        loss = (1 - torch.exp(-ce)) ** self.gamma * ce
        return loss if self.weight is None else loss * self.weight[targets]


class SigmoidFocal(Reduced):
    """torchvision's focal loss for several labels, without its alpha.

    Args:
        gamma: exponent.
        weight: of the positives of each label, shape (labels,).
    """

    def __init__(self, gamma: float = 2.0, weight: Tensor | None = None, reduction: str = "mean"):
        super().__init__(reduction)
        self.gamma = gamma
        self.register_buffer("weight", weight)

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        from torchvision.ops import sigmoid_focal_loss

        loss = sigmoid_focal_loss(logits, targets, alpha=-1, gamma=self.gamma, reduction="none")
        return loss if self.weight is None else loss * (1 + targets * (self.weight - 1))


class Asymmetric(Reduced):
    """Binary cross entropy in which easy negatives count little (Ridnik et al. 2021, equation 7).

    Args:
        positive, negative: exponents.
        clip: probability that is taken off a negative.
        weight: of the positives of each label, shape (labels,).
    """

    def __init__(
        self,
        positive: float = 1.0,
        negative: float = 4.0,
        clip: float = 0.05,
        weight: Tensor | None = None,
        reduction: str = "mean",
    ):
        super().__init__(reduction)
        self.positive, self.negative, self.clip = positive, negative, clip
        self.register_buffer("weight", weight)

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        p = logits.sigmoid()
        shifted = (p - self.clip).clamp(min=0)
        gain = targets * (1 - p) ** self.positive * F.logsigmoid(logits)
        gain = gain if self.weight is None else gain * self.weight
        return -gain - (1 - targets) * shifted**self.negative * torch.log1p(-shifted)


class Softmax(BaseLoss):
    """A loss of exclusive classes, on plain tensors: fastai's type would pass through Python in each operation.

    Args:
        loss_cls: makes the loss of logits, shape (n, classes), and class numbers, shape (n,).
        ordered: whether to decide by the median, and not by the largest probability.
    """

    y_int = True

    def __init__(self, loss_cls: Callable, *args: Any, ordered: bool = False, **kwargs: Any):
        super().__init__(loss_cls, *args, **kwargs)
        self.ordered, self.temperature = ordered, 1.0

    def __call__(self, inp: Tensor, targ: Tensor, **kwargs: Any) -> Tensor:
        return self.func(inp.as_subclass(Tensor), targ.as_subclass(Tensor), **kwargs)

    def activation(self, x: Tensor) -> Tensor:
        return (x / self.temperature).softmax(-1)

    def decodes(self, x: Tensor) -> Tensor:
        return median_class(x) if self.ordered else x.argmax(-1)


class Sigmoid(BaseLoss):
    """A loss of several labels.

    Args:
        loss_cls: makes the loss of logits and zeros and ones, both of shape (n, labels).
        thresh: the least probability of a label that counts as a yes, one for all or one for each.
    """

    def __init__(self, loss_cls: Callable, *args: Any, thresh: float | np.ndarray = 0.5, **kwargs: Any):
        super().__init__(loss_cls, *args, **kwargs)
        self.thresh, self.temperature = thresh, 1.0

    def __call__(self, inp: Tensor, targ: Tensor, **kwargs: Any) -> Tensor:
        return self.func(inp.as_subclass(Tensor), targ.as_subclass(Tensor).float(), **kwargs)

    def activation(self, x: Tensor) -> Tensor:
        return (x / self.temperature).sigmoid()

    def decodes(self, x: Tensor) -> Tensor:
        return x >= torch.as_tensor(self.thresh, dtype=x.dtype, device=x.device)


class Distance(BaseLoss):
    """A loss of numbers.

    Args:
        loss_cls: makes the loss of two arrays of shape (n,).
    """

    def __call__(self, inp: Tensor, targ: Tensor, **kwargs: Any) -> Tensor:
        return self.func(inp.as_subclass(Tensor).flatten(), targ.as_subclass(Tensor).flatten(), **kwargs)

    def activation(self, x: Tensor) -> Tensor:
        return x

    def decodes(self, x: Tensor) -> Tensor:
        return x


def _softmax(ordered: bool) -> dict[str, Callable[[Tensor | None], BaseLoss]]:
    return {
        "cross_entropy": lambda weight: Softmax(nn.CrossEntropyLoss, weight=weight, ordered=ordered),
        "label_smoothing": lambda weight: Softmax(
            nn.CrossEntropyLoss, weight=weight, label_smoothing=0.1, ordered=ordered
        ),
        "focal": lambda weight: Softmax(Focal, weight=weight, ordered=ordered),
    }


# The first of each task is its default.
LOSSES: dict[str, dict[str, Callable[[Tensor | None], BaseLoss]]] = {
    SINGLE: _softmax(ordered=False),
    ORDINAL: _softmax(ordered=True),
    MULTI: {
        "bce": lambda weight: Sigmoid(nn.BCEWithLogitsLoss, pos_weight=weight),
        "focal": lambda weight: Sigmoid(SigmoidFocal, weight=weight),
        "asymmetric": lambda weight: Sigmoid(Asymmetric, weight=weight),
    },
    REGRESSION: {
        "mse": lambda weight: Distance(nn.MSELoss),
        "mae": lambda weight: Distance(nn.L1Loss),
        "huber": lambda weight: Distance(nn.HuberLoss),
    },
}


def loss_for(task: str, loss: str | Callable | None = None, weight: Tensor | None = None) -> Callable:
    """The loss of a task.

    Args:
        task: one of `kickbert.targets.TASKS`.
        loss: a name of `LOSSES`; a function of raw outputs and targets, or a fastai loss; None for the default.
        weight: of each class, or of the positives of each label, shape (classes,).
    Raises:
        ValueError: a name that the task has not, or weights for a loss that takes none.
    """
    named = LOSSES[task]
    if weight is not None and (task == REGRESSION or callable(loss)):
        raise ValueError(f"class_weights go with a named loss of classes: {list(named)}; this is loss={loss!r}")
    if callable(loss):
        return loss if hasattr(loss, "decodes") else _dressed(task, loss)
    name = loss or next(iter(named))
    if name not in named:
        raise ValueError(f"loss={loss!r} is not one of {list(named)}, those of a {task} task{nearest(name, named)}")
    return named[name](weight)


class FunctionLoss(nn.Module):
    """A plain function as a module."""

    function: Callable

    def __init__(self, function: Callable):
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.function(*args, **kwargs)


def _dressed(task: str, loss: Callable) -> BaseLoss:
    """A plain function with the activation and the decision of its task."""
    kind = {SINGLE: Softmax, ORDINAL: Softmax, MULTI: Sigmoid, REGRESSION: Distance}[task]
    return kind(FunctionLoss, loss, **({"ordered": True} if task == ORDINAL else {}))
