"""What is trained when, how fast and by what: phases as plain data, curves of learning rates, optimizers by name."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from fastai.optimizer import Lamb, OptimWrapper

from kickbert.utils.messages import nearest


def one_cycle(position: float, warmup: float = 0.1, div: float = 25.0, div_final: float = 1e5) -> float:
    """One-cycle policy with cosine annealing: from 1/div up to 1, down to 1/div_final (fastai's form of Smith 2018).

    >>> [round(one_cycle(p, warmup=0.25), 3) for p in (0, 0.25, 0.625, 1)]
    [0.04, 1.0, 0.5, 0.0]
    """
    rises = position < warmup
    x = position / warmup if rises else (position - warmup) / (1 - warmup)
    start, end = (1 / div, 1.0) if rises else (1.0, 1 / div_final)
    return start + (end - start) * (1 - math.cos(math.pi * x)) / 2


def slanted_triangle(position: float, cut: float = 0.1, ratio: float = 32.0) -> float:
    """Slanted triangular learning rate: 1/ratio up to 1 at `cut`, and down again (Howard and Ruder 2018, equation 3).

    >>> [round(slanted_triangle(p), 3) for p in (0, 0.1, 0.55, 1)]
    [0.031, 1.0, 0.516, 0.031]
    """
    share = position / cut if position < cut else 1 - (position - cut) / (1 - cut)
    return (1 + share * (ratio - 1)) / ratio


def linear(position: float, warmup: float = 0.1) -> float:
    """Linear warmup and linear decay to 0, as BERT was trained (Devlin et al. 2019, appendix A.2)."""
    return position / warmup if position < warmup else (1 - position) / (1 - warmup)


def cosine(position: float, warmup: float = 0.1) -> float:
    """Linear warmup and cosine decay to 0 (Loshchilov and Hutter 2017, equation 5)."""
    return position / warmup if position < warmup else (1 + math.cos(math.pi * (position - warmup) / (1 - warmup))) / 2


def constant(position: float, warmup: float = 0.1) -> float:
    """Linear warmup, and a constant rate after it."""
    return min(1.0, position / warmup)


Curve = Callable[[float], float]
HEAD_ROWS = 4_096  # that the head alone is trained on at most: it learns no more from further ones
STEP = 4  # layers that each rung past the schedule opens, and their training, from the start of a curve:
DEEPER: dict[str, Any] = {"epochs": 2, "lr": 2e-4}
SHAPES: dict[str, Curve] = {"one_cycle": one_cycle, "triangle": slanted_triangle, "linear": linear, "cosine": cosine}
SHAPES["constant"] = constant


@dataclass(frozen=True)
class Phase:
    """A phase of gradual unfreezing: which layer groups train, for how long, at what learning rates.

    Args:
        name: what is trained, for people.
        freeze_to: number of the first group that trains.
        epochs: at least 1.
        lr: peak learning rate of the head.
        decay: discriminative learning rates: a group has `lr * decay**distance` from the head (Howard and Ruder 2018,
            section 3.2).
        shape: of the learning rate over the phase: "one_cycle" (Smith 2018), "triangle", the slanted one (Howard and
            Ruder 2018, section 3.2), "linear", "cosine" or "constant"; or a function from the position, 0 to 1, to a
            share of the peak, such as any of fastai's schedulers.
        warmup: share of the steps in which the learning rate rises; a function of your own has its own.
        rows: how many training rows are drawn for it; None for all.
    """

    name: str
    freeze_to: int
    epochs: int
    lr: float
    decay: float = 1.0
    shape: str | Curve = "one_cycle"
    warmup: float = 0.1
    rows: int | None = None

    def __post_init__(self):
        if not callable(self.shape) and self.shape not in SHAPES:
            raise ValueError(f"shape={self.shape!r} is not one of {list(SHAPES)}, nor a function of the position")
        if self.epochs < 1 or self.lr <= 0 or not 0 < self.decay <= 1 or not 0 < self.warmup < 1:
            raise ValueError(f"{self} needs epochs of at least 1, lr > 0, decay in (0, 1] and warmup in (0, 1)")
        if self.rows is not None and self.rows < 1:
            raise ValueError(f"rows={self.rows} is no number of training rows; None is for all")

    def rates(self, n_groups: int) -> list[float]:
        """Peak learning rate of each group; 0 for a frozen one.

        >>> Phase("last layer", freeze_to=2, epochs=1, lr=1.0, decay=0.5).rates(4)
        [0.0, 0.0, 0.5, 1.0]
        """
        return [self.lr * self.decay ** (n_groups - 1 - g) if g >= self.freeze_to else 0.0 for g in range(n_groups)]

    def factor(self, position: float) -> float:
        """The share of the peak learning rate at a point of the phase, 0 at its start to 1 at its end."""
        return self.shape(position) if callable(self.shape) else SHAPES[self.shape](position, self.warmup)

    def rates_at(self, position: float, n_groups: int) -> list[float]:
        """Learning rate of each group at a point of the phase."""
        factor = self.factor(position)
        return [rate * factor for rate in self.rates(n_groups)]


def gradual_unfreezing(
    n_groups: int,
    layers: Sequence[int] = (0, 4),
    epochs: Sequence[int] = (1, 2),
    lr: float | Sequence[float] = (2e-3, 4e-4),
    decay: float = 0.9,
    shape: str | Curve = "one_cycle",
    warmup: float = 0.1,
    head_rows: int | None = HEAD_ROWS,
) -> list[Phase]:
    """Phases of gradual unfreezing: the head, then the last layers too, then deeper (Howard and Ruder 2018, 3.3).

    The defaults were chosen among ten schedules by validation accuracy on four data sets (benchmarks/schedules.py).

    Args:
        n_groups: groups of the model: embeddings, layers, head.
        layers: how many layers train in each phase, ascending; -1 for everything, embeddings included. Phases that
            would train the same as the one before, in an encoder of few layers, are merged with it.
        epochs: of each phase.
        lr: peak learning rate of each phase, or one for all.
        decay, shape, warmup: as in `Phase`.
        head_rows: training rows of the head alone at most, where layers train after it; None for all.

    >>> [(p.name, p.freeze_to, p.epochs) for p in gradual_unfreezing(8)]
    [('head', 7, 1), ('last 4 layers', 3, 2)]
    """
    rates = [lr] * len(layers) if isinstance(lr, (int, float)) else list(lr)
    if not len(layers) == len(epochs) == len(rates):
        raise ValueError(f"layers={layers}, epochs={epochs} and lr={lr} must be of one length")
    phases: list[Phase] = []
    for count, n, rate in zip(layers, epochs, rates, strict=True):
        first = 0 if count < 0 else max(1, n_groups - 1 - count)
        if phases and phases[-1].freeze_to == first:
            phases.pop()
        elif phases and phases[-1].freeze_to < first:
            raise ValueError(f"layers={list(layers)} must ascend: a phase never freezes what the one before trained")
        phases.append(Phase(layers_name(first, n_groups), first, n, rate, decay, shape, warmup))
    if len(phases) > 1 and phases[0].freeze_to == n_groups - 1:
        phases[0] = replace(phases[0], rows=head_rows)
    return phases


def rungs_of(n_groups: int, schedule: Mapping[str, Any]) -> list[Phase]:
    """The phases of the schedule, then deeper ones: four layers more each time, to the second one, which has two."""
    phases = gradual_unfreezing(n_groups, **schedule)
    while phases[-1].freeze_to > 2:
        first = max(2, phases[-1].freeze_to - STEP)
        phases.append(replace(phases[-1], name=layers_name(first, n_groups), freeze_to=first, **DEEPER))
    return [*phases, phases[-1]]


def layers_name(first: int, n_groups: int) -> str:
    """What trains from this group on, for people."""
    if first == 0:
        return "everything"
    count = n_groups - 1 - first
    return "head" if count == 0 else "last layer" if count == 1 else f"last {count} layers"


class _Hypers(dict):
    """A group's hyperparameters by fastai's names; what is set among them, as ReduceLROnPlateau does, takes effect."""

    def __init__(self, group: dict[str, Any]):
        mom, sqr_mom = group["betas"]
        super().__init__(lr=group["lr"], wd=group["weight_decay"], eps=group["eps"], mom=mom, sqr_mom=sqr_mom)
        self.group = group

    def __setitem__(self, name: str, value: float) -> None:
        super().__setitem__(name, value)
        self.group.update(lr=self["lr"], weight_decay=self["wd"], eps=self["eps"], betas=(self["mom"], self["sqr_mom"]))


class FusedAdamW(OptimWrapper):
    """torch's fused AdamW, one kernel call a step, behind fastai's interface."""

    @property
    def hypers(self) -> list[dict[str, float]]:
        """Hyperparameters of each group; fastai asks three times a step, and its own way is slow."""
        return [_Hypers(group) for group in self.opt.param_groups]


def adamw(groups: Sequence, lr: float, **kwargs: Any) -> FusedAdamW:
    """AdamW (Loshchilov and Hutter 2019) for a fastai Learner's `opt_func`.

    Args:
        groups: lists of parameters.
        lr: learning rate of all groups until a schedule sets another.
        kwargs: as for `torch.optim.AdamW`.
    """
    return FusedAdamW(groups, opt=torch.optim.AdamW, lr=lr, fused=True, **kwargs)


class WithoutMomentum(OptimWrapper):
    """An optimizer of torch that has no momentum, which fastai's schedules set all the same."""

    @property
    def hypers(self) -> list[dict[str, float]]:
        """Hyperparameters of each group by fastai's names."""
        return [{"mom": 0.0, **own} for own in super().hypers]

    def set_hyper(self, name: str, value: Any) -> None:
        """Set one of them for all groups."""
        if name != "mom":
            super().set_hyper(name, value)


OPTIMIZERS: dict[str, Callable] = {
    "adamw": adamw,
    "lamb": Lamb,  # You et al. 2020
    "adafactor": partial(WithoutMomentum, opt=torch.optim.Adafactor),  # Shazeer and Stern 2018
    "radam": partial(OptimWrapper, opt=torch.optim.RAdam, decoupled_weight_decay=True),  # Liu et al. 2020
}


def optimizer_by_name(optimizer: str | Callable) -> Callable:
    """A fastai `opt_func` by its name; a function is returned as it is.

    Raises:
        ValueError: an unknown name; the nearest is offered.
    """
    if callable(optimizer):
        return optimizer
    if optimizer not in OPTIMIZERS:
        hint = nearest(optimizer, OPTIMIZERS)
        raise ValueError(f"optimizer={optimizer!r} is not one of {list(OPTIMIZERS)}, nor a fastai opt_func{hint}")
    return OPTIMIZERS[optimizer]
