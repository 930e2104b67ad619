"""Losses of logits and true codes; how logits become probabilities, and those decisions.

Each is a fastai loss: `activation` gives probabilities, `decodes` what is decided by them. `temperature`
(temperature scaling, Guo et al. 2017), which logits are divided by, is 1 until `kickbert.calibrate` has fitted it.
"""

from collections.abc import Callable
from copy import copy
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import torch
from fastai.losses import BaseLoss
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

from kickbert.targets.base import Target, for_target
from kickbert.targets.continuous import Continuous
from kickbert.targets.labels import Labels, OrderedLabels, median_class
from kickbert.targets.multi_labels import MultiLabels
from kickbert.utils.messages import nearest

FITTED = ("temperature", "thresh")  # attributes of a loss that are fitted after training, which does not depend on them
MIN_PROBABILITY = 1e-6  # smaller probabilities are clipped, so that logarithms are finite


class Reduced(nn.Module):
    """A loss of each row, or of each row and label, reduced as torch's own losses are."""

    each: Callable[..., Tensor]
    weight: Tensor | None

    def __init__(self, reduction: str = "mean", weight: Tensor | None = None):
        super().__init__()
        self.reduction = reduction
        self.register_buffer("weight", weight)

    def forward(self, logits: Tensor, targets: Tensor, *further: Tensor) -> Tensor:
        loss = self.each(logits, targets, *further)
        return loss if self.reduction == "none" else loss.mean() if self.reduction == "mean" else loss.sum()


class Focal(Reduced):
    """Focal loss: cross entropy that easy rows contribute little to (Lin et al. 2017, equation 5).

    Args:
        gamma: exponent; 0 for cross entropy.
        weight: of each class, shape (classes,). fastai's focal loss takes it for a part of the probability.
    """

    def __init__(self, gamma: float = 2.0, weight: Tensor | None = None, reduction: str = "mean"):
        super().__init__(reduction, weight)
        self.gamma = gamma

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        ce = F.cross_entropy(logits, targets, reduction="none")
        loss = (1 - torch.exp(-ce)) ** self.gamma * ce
        return loss if self.weight is None else loss * self.weight[targets]


class SigmoidFocal(Focal):
    """Focal loss of several labels, as torchvision has it, without its alpha; `weight` is of each label's positives."""

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        from torchvision.ops import sigmoid_focal_loss

        loss = sigmoid_focal_loss(logits, targets, alpha=-1, gamma=self.gamma, reduction="none")
        return loss if self.weight is None else loss * (1 + targets * (self.weight - 1))


class Asymmetric(Reduced):
    """Asymmetric loss: binary cross entropy that easy negatives contribute little to (Ridnik et al. 2021, equation 7).

    Args:
        positive, negative: exponents.
        clip: probability by which negatives are shifted.
        kwargs: `reduction`, and the `weight` of the positives of each label, shape (labels,).
    """

    def __init__(self, positive: float = 1.0, negative: float = 4.0, clip: float = 0.05, **kwargs: Any):
        super().__init__(**kwargs)
        self.positive, self.negative, self.clip = positive, negative, clip

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        p = logits.sigmoid()
        shifted = (p - self.clip).clamp(min=0)
        gain = targets * (1 - p) ** self.positive * F.logsigmoid(logits)
        gain = gain if self.weight is None else gain * self.weight
        return -gain - (1 - targets) * shifted**self.negative * torch.log1p(-shifted)


class Distillation(Reduced):
    """Divergence from soft predictions, mixed with the loss of a label (Hinton, Vinyals and Dean 2015, section 2).

    Of classes the Kullback-Leibler divergence at a temperature T, times T² so that its gradient keeps its size; of
    several labels the same of each; of numbers the squared distance. CORN's outputs are log-probabilities, which a
    softmax takes as it takes logits.

    Args:
        target: the target, or its class.
        temperature: T.
    """

    def __init__(self, target: Target | type[Target], temperature: float = 1.0, reduction: str = "mean"):
        super().__init__(reduction)
        self.is_number = target.is_number
        self.is_multilabel = target.is_multilabel
        self.temperature = temperature

    def each(self, outputs: Tensor, codes: Tensor, soft: Tensor | None = None, hard: Tensor | None = None) -> Tensor:
        """Of each row, and of each label of several.

        Args:
            outputs: shape (n, classes), or (n,) of numbers.
            codes: what is true, or decided by the teacher.
            soft: the teacher's probabilities, or standardized numbers, of the shape of `outputs`; None to judge by
                `codes` alone, as validation rows are.
            hard: share of `codes` in the loss of each row, shape (n,).
        """
        if self.is_number:
            true = F.mse_loss(outputs, codes, reduction="none")
        elif self.is_multilabel:
            true = F.binary_cross_entropy_with_logits(outputs, codes, reduction="none")
        else:
            true = F.cross_entropy(outputs, codes, reduction="none")
        if soft is None or hard is None:
            return true
        hard = hard.unsqueeze(-1) if true.dim() == 2 else hard
        return hard * true + (1 - hard) * self._divergence(outputs, soft)

    def _divergence(self, outputs: Tensor, soft: Tensor) -> Tensor:
        t, soft = self.temperature, soft.as_subclass(Tensor)
        if self.is_number:
            return F.mse_loss(outputs, soft, reduction="none")
        soft = soft.clamp(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        if self.is_multilabel:
            softened = (soft.logit() / t).sigmoid()
            entropy = F.binary_cross_entropy(softened, softened, reduction="none")
            return t**2 * (F.binary_cross_entropy_with_logits(outputs / t, softened, reduction="none") - entropy)
        wanted, own = F.log_softmax(soft.log() / t, -1), F.log_softmax(outputs / t, -1)
        return t**2 * F.kl_div(own, wanted, reduction="none", log_target=True).sum(-1)


class Softmax(BaseLoss):
    """A loss of single labels or ordered classes, on plain tensors: fastai's own would pass through Python each time.

    Args:
        loss_cls: makes the loss of logits, shape (n, classes), and class numbers, shape (n,).
        ordered: whether the median class is predicted, and not the argmax.
    """

    y_int = True

    def __init__(self, loss_cls: Callable, *args: Any, ordered: bool = False, **kwargs: Any):
        super().__init__(loss_cls, *args, **kwargs)
        self.ordered, self.temperature = ordered, 1.0

    def __call__(self, inp: Tensor, targ: Tensor, *further: Tensor, **kwargs: Any) -> Tensor:
        return self.func(inp.as_subclass(Tensor), targ.as_subclass(Tensor), *further, **kwargs)

    def activation(self, x: Tensor) -> Tensor:
        return (x / self.temperature).softmax(-1)

    def decodes(self, x: Tensor) -> Tensor:
        return median_class(x) if self.ordered else x.argmax(-1)


class Sigmoid(BaseLoss):
    """A multi-label loss.

    Args:
        loss_cls: makes the loss of logits and zeros and ones, both of shape (n, labels).
        thresh: decision threshold, one for all labels or one for each.
    """

    def __init__(self, loss_cls: Callable, *args: Any, thresh: float | np.ndarray = 0.5, **kwargs: Any):
        super().__init__(loss_cls, *args, **kwargs)
        self.thresh, self.temperature = thresh, 1.0

    def __call__(self, inp: Tensor, targ: Tensor, *further: Tensor, **kwargs: Any) -> Tensor:
        return self.func(inp.as_subclass(Tensor), targ.as_subclass(Tensor).float(), *further, **kwargs)

    def activation(self, x: Tensor) -> Tensor:
        return (x / self.temperature).sigmoid()

    def decodes(self, x: Tensor) -> Tensor:
        return x >= torch.as_tensor(self.thresh, dtype=x.dtype, device=x.device)


class Distance(BaseLoss):
    """A regression loss.

    Args:
        loss_cls: makes the loss of two arrays of shape (n,).
    """

    def __call__(self, inp: Tensor, targ: Tensor, *further: Tensor, **kwargs: Any) -> Tensor:
        return self.func(inp.as_subclass(Tensor).flatten(), targ.as_subclass(Tensor).flatten(), *further, **kwargs)

    def activation(self, x: Tensor) -> Tensor:
        return x

    def decodes(self, x: Tensor) -> Tensor:
        return x


# Of each task how outputs become probabilities, and those decisions; it is given the class of the loss itself.
KINDS: dict[type[Target], Callable[..., BaseLoss]] = {
    Labels: Softmax,
    OrderedLabels: partial(Softmax, ordered=True),
    MultiLabels: Sigmoid,
    Continuous: Distance,
}


def _softmax(ordered: bool) -> dict[str, Callable[[Tensor | None], BaseLoss]]:
    return {
        "cross_entropy": lambda weight: Softmax(nn.CrossEntropyLoss, weight=weight, ordered=ordered),
        "label_smoothing": lambda weight: Softmax(
            nn.CrossEntropyLoss, weight=weight, label_smoothing=0.1, ordered=ordered
        ),
        "focal": lambda weight: Softmax(Focal, weight=weight, ordered=ordered),
    }


# The first of each task is its default.
LOSSES: dict[type[Target], dict[str, Callable[[Tensor | None], BaseLoss]]] = {
    Labels: _softmax(ordered=False),
    OrderedLabels: _softmax(ordered=True),
    MultiLabels: {
        "bce": lambda weight: Sigmoid(nn.BCEWithLogitsLoss, pos_weight=weight),
        "focal": lambda weight: Sigmoid(SigmoidFocal, weight=weight),
        "asymmetric": lambda weight: Sigmoid(Asymmetric, weight=weight),
    },
    Continuous: {
        "mse": lambda weight: Distance(nn.MSELoss),
        "mae": lambda weight: Distance(nn.L1Loss),
        "huber": lambda weight: Distance(nn.HuberLoss),
    },
}


def loss_for(
    target: Target | type[Target], loss: str | Callable | None = None, weight: Tensor | None = None
) -> Callable:
    """The loss of a task.

    Args:
        target: the target, or its class.
        loss: a name of `LOSSES`; a function of logits and true codes, or a fastai loss; None for the default.
        weight: of each class, or of the positives of each label, shape (classes,).
    Raises:
        ValueError: a name that the task has not, or weights for a loss that takes none.
    """
    named = for_target(LOSSES, target)
    if weight is not None and (target.is_number or callable(loss)):
        raise ValueError(f"class_weights go with a named loss of classes: {list(named)}; this is loss={loss!r}")
    if callable(loss):
        return loss if hasattr(loss, "decodes") else for_target(KINDS, target)(FunctionLoss, loss)
    name = loss or next(iter(named))
    if name not in named:
        raise ValueError(
            f"loss={loss!r} is not one of {list(named)}, those of task {target.task!r}{nearest(name, named)}"
        )
    return named[name](weight)


def loss_of_blocks(dls: Any, loss: Callable | None = None) -> Callable:
    """A fastai loss, or what the blocks of a `DataBlock` bring; another function gets the activation of theirs.

    Raises:
        ValueError: neither a loss nor a block that brings one.
    """
    own = getattr(dls.train_ds, "loss_func", None)
    if loss is None:
        if own is None:
            raise ValueError(
                "loss_func=None, and no block of the DataBlock brings a loss; give one, such as "
                "loss_func=CrossEntropyLossFlat(), or take fastai's CategoryBlock, MultiCategoryBlock or "
                "RegressionBlock"
            )
        return own
    if isinstance(own, BaseLoss) and not hasattr(loss, "decodes"):
        own = copy(own)
        own.func = FunctionLoss(loss)
        return own
    return loss


class FunctionLoss(nn.Module):
    """A function or module as one with a `reduction`, which fastai's losses are made of.

    One that knows of no reduction is called for each row alone where the loss of each is wanted.
    """

    def __init__(self, function: Callable):
        super().__init__()
        self.function, self.reduction = function, "mean"

    def forward(self, *args: Tensor, **kwargs: Any) -> Tensor:
        if self.reduction != "none":
            return self.function(*args, **kwargs)
        if hasattr(self.function, "reduction"):
            each = copy(self.function)
            each.reduction = "none"
            return each(*args, **kwargs)
        if "reduction" in signature(getattr(self.function, "forward", self.function)).parameters:
            return self.function(*args, **kwargs, reduction="none")
        rows = zip(*(arg.split(1) for arg in args), strict=True)
        return torch.cat([self.function(*row, **kwargs).reshape(1) for row in rows])
