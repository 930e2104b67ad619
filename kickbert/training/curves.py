"""Learning-rate curves: the share of the peak rate as a function of the position in a phase, 0 to 1."""

import math
from collections.abc import Callable

Curve = Callable[[float], float]


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
    """Slanted triangular learning rate: 1/ratio up to 1 at `cut`, then down (Howard and Ruder 2018, equation 3).

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
    """Linear warmup, then a constant rate."""
    return min(1.0, position / warmup)


SHAPES: dict[str, Callable[[float, float], float]] = {
    "one_cycle": one_cycle,
    "triangle": slanted_triangle,
    "linear": linear,
    "cosine": cosine,
    "constant": constant,
}
