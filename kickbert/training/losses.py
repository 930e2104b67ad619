"""Losses, and how logits become probabilities and decisions.

Each is a fastai loss: `activation` turns logits into probabilities, and `decodes` turns those into codes. Logits are
divided by `temperature` (temperature scaling, Guo et al. 2017), which is 1 until calibration has fitted it.
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

FITTED = ("temperature", "thresh")  # attributes of a loss that are fitted after training and do not affect it
MIN_PROBABILITY = 1e-6  # smaller probabilities are clipped, so that logarithms are finite


class Reduced(nn.Module):
    """A loss per row, or per row and label, with torch's `reduction`."""

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
    """Focal loss: cross entropy with little weight on easy rows (Lin et al. 2017, equation 5).

    Args:
        gamma: exponent; 0 for cross entropy.
        weight: class weights, shape (classes,). fastai's focal loss mistakes them for a part of the probability.
    """

    def __init__(self, gamma: float = 2.0, weight: Tensor | None = None, reduction: str = "mean"):
        super().__init__(reduction, weight)
        self.gamma = gamma

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        ce = F.cross_entropy(logits, targets, reduction="none")
        loss = (1 - torch.exp(-ce)) ** self.gamma * ce
        return loss if self.weight is None else loss * self.weight[targets]


class SigmoidFocal(Focal):
    """torchvision's focal loss for several labels, without its alpha; `weight` weights each label's positives."""

    def each(self, logits: Tensor, targets: Tensor) -> Tensor:
        from torchvision.ops import sigmoid_focal_loss

        loss = sigmoid_focal_loss(logits, targets, alpha=-1, gamma=self.gamma, reduction="none")
        return loss if self.weight is None else loss * (1 + targets * (self.weight - 1))


class Asymmetric(Reduced):
    """Asymmetric loss: binary cross entropy with little weight on easy negatives (Ridnik et al. 2021, equation 7).

    Args:
        positive, negative: exponents.
        clip: probability by which negatives are shifted.
        kwargs: `reduction`, and `weight`: the weight of each label's positives, shape (labels,).
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
    """Divergence from soft predictions, mixed with the loss of the labels (Hinton, Vinyals and Dean 2015, section 2).

    For classes this is the Kullback-Leibler divergence at a temperature T, times T² to keep the size of its gradient;
    for several labels the same per label; for numbers the squared distance. CORN's outputs are log-probabilities, which
    a softmax treats like logits.

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
        """Compute the loss per row, or per row and label.

        Args:
            outputs: shape (n, classes), or (n,) for numbers.
            codes: true codes, or the teacher's decisions.
            soft: the teacher's probabilities or standardized numbers, in the shape of `outputs`; None to use only
                `codes`, as for validation rows.
            hard: weight of `codes` in the loss of each row, 0 to 1, shape (n,).
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
    """A loss for single labels or ordered classes, on plain tensors, which is faster than fastai's tensor types.

    Args:
        loss_cls: makes the loss of logits, shape (n, classes), and class numbers, shape (n,).
        ordered: whether to predict the median class instead of the argmax.
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
    """A loss for several labels.

    Args:
        loss_cls: makes the loss of logits and zeros and ones, both with shape (n, labels).
        thresh: decision threshold, one for all labels or one per label.
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
        loss_cls: makes the loss of two arrays with shape (n,).
    """

    def __call__(self, inp: Tensor, targ: Tensor, *further: Tensor, **kwargs: Any) -> Tensor:
        return self.func(inp.as_subclass(Tensor).flatten(), targ.as_subclass(Tensor).flatten(), *further, **kwargs)

    def activation(self, x: Tensor) -> Tensor:
        return x

    def decodes(self, x: Tensor) -> Tensor:
        return x


# The fastai loss for each kind of target; its argument is the class of the loss itself.
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


# The first loss of each task is its default.
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
    """Return the loss for a task.

    Args:
        target: the target, or its class.
        loss: a name in `LOSSES`; a function of logits and true codes, or a fastai loss; None for the default.
        weight: class weights, or weights of each label's positives, shape (classes,).
    Raises:
        ValueError: the task has no loss of this name, or the loss takes no weights.
    """
    named = for_target(LOSSES, target)
    if weight is not None and (target.is_number or callable(loss)):
        raise ValueError(f"class_weights need a named loss for classes, one of {list(named)}. This is loss={loss!r}")
    if callable(loss):
        return loss if hasattr(loss, "decodes") else for_target(KINDS, target)(FunctionLoss, loss)
    name = loss or next(iter(named))
    if name not in named:
        raise ValueError(
            f"loss={loss!r} is not one of {list(named)}, the losses for task {target.task!r}{nearest(name, named)}"
        )
    return named[name](weight)


def loss_of_blocks(dls: Any, loss: Callable | None = None) -> Callable:
    """Return the loss for the DataLoaders of a `DataBlock`: its blocks' own, or a given one with their activation.

    Raises:
        ValueError: no loss was given, and no block defines one.
    """
    own = getattr(dls.train_ds, "loss_func", None)
    if loss is None:
        if own is None:
            raise ValueError(
                "loss_func=None, and no block of the DataBlock defines a loss. Pass one, such as "
                "loss_func=CrossEntropyLossFlat(), or use fastai's CategoryBlock, MultiCategoryBlock or "
                "RegressionBlock"
            )
        return own
    if isinstance(own, BaseLoss) and not hasattr(loss, "decodes"):
        own = copy(own)
        own.func = FunctionLoss(loss)
        return own
    return loss


class FunctionLoss(nn.Module):
    """A function or module with the `reduction` that fastai's losses need.

    A function without a reduction is called once per row when per-row losses are needed.
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
