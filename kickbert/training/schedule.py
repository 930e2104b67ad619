"""Phases of gradual unfreezing as plain data: which layer groups train, for how long, at what learning rates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kickbert.training.curves import SHAPES, Curve

HEADS = ("kept", "solved", "shrunk")
SHRUNK = 0.3  # factor of the weights of a shrunk head
HEAD_ROWS = 4_096  # maximum rows for the head alone; more do not help it
MIN_STEPS = 160  # minimum steps of the layers, and of the side network
EPOCHS = 2  # minimum epochs of the layers
HEAD_LR = 2e-3
LR = 4e-4


@dataclass(frozen=True)
class Phase:
    """A phase of gradual unfreezing.

    Args:
        name: display name of the groups that train.
        freeze_to: number of the first group that trains.
        epochs: at least 1.
        lr: peak learning rate of the head.
        decay: discriminative learning rates: a group has `lr * decay**distance` from the head (Howard and Ruder 2018,
            section 3.2).
        shape: curve of the learning rate: "one_cycle" (Smith 2018), "triangle" (slanted; Howard and Ruder 2018, section
            3.2), "linear", "cosine" or "constant"; or a function from the position (0 to 1) to a share of the peak,
            such as fastai's schedulers.
        warmup: share of the steps in which the learning rate rises; ignored by your own function.
        rows: number of training rows to draw; None for all.
        head: how the head starts: "kept" as it is; "shrunk", with weights times 0.3, if it is one linear layer; or
            "solved", which sets it to the optimum for the frozen encoder (`head_solver`) in place of `epochs`. A head
            that is not one linear layer takes steps instead, until its loss no longer decreases.
        side: whether the head has a side network (`kickbert.models.side_network`); a phase without one removes it.
    """

    name: str
    freeze_to: int
    epochs: int
    lr: float
    decay: float = 1.0
    shape: str | Curve = "one_cycle"
    warmup: float = 0.1
    rows: int | None = None
    head: str = "kept"
    side: bool = False

    def __post_init__(self):
        if not callable(self.shape) and self.shape not in SHAPES:
            raise ValueError(f"shape={self.shape!r} is not one of {list(SHAPES)}, nor a function of the position")
        if self.head not in HEADS:
            raise ValueError(f"head={self.head!r} is not one of {list(HEADS)}")
        if self.epochs < 1 or self.lr <= 0 or not 0 < self.decay <= 1 or not 0 < self.warmup < 1:
            raise ValueError(f"{self} needs epochs of at least 1, lr > 0, decay in (0, 1] and warmup in (0, 1)")
        if self.rows is not None and self.rows < 1:
            raise ValueError(f"rows={self.rows} must be at least 1; None uses all training rows")

    def rates(self, n_groups: int) -> list[float]:
        """Peak learning rate of each group; 0 for a frozen one.

        >>> Phase("last layer", freeze_to=2, epochs=1, lr=1.0, decay=0.5).rates(4)
        [0.0, 0.0, 0.5, 1.0]
        """
        return [self.lr * self.decay ** (n_groups - 1 - g) if g >= self.freeze_to else 0.0 for g in range(n_groups)]

    def factor(self, position: float) -> float:
        """Share of the peak learning rate at a position in the phase, 0 (start) to 1 (end)."""
        return self.shape(position) if callable(self.shape) else SHAPES[self.shape](position, self.warmup)

    def rates_at(self, position: float, n_groups: int) -> list[float]:
        """Learning rate of each group at a position in the phase."""
        factor = self.factor(position)
        return [rate * factor for rate in self.rates(n_groups)]


def gradual_unfreezing(
    n_groups: int,
    layers: Sequence[int] = (0, 4),
    epochs: Sequence[int] | None = None,
    lr: float | Sequence[float] | None = None,
    decay: float = 0.9,
    shape: str | Curve = "one_cycle",
    warmup: float = 0.1,
    head_rows: int | None = HEAD_ROWS,
    steps: int | None = None,
) -> list[Phase]:
    """List the phases of gradual unfreezing: the head, then the last layers, then deeper ones (Howard and Ruder 2018).

    The head is first set to its optimum, which gives a score to compare with. The layers then start from that head with
    smaller weights: an optimal head fits few training rows so well that the layers learn little. The defaults were
    chosen by validation accuracy on several data sets (benchmarks/schedules.py, benchmarks/table_sizes.py).

    Args:
        n_groups: number of the model's groups: embeddings, layers, head.
        layers: number of layers that train in each phase, ascending; -1 for everything, embeddings included. In an
            encoder with few layers, phases that would train the same groups are merged.
        epochs: epochs of each phase; None for as many as take 160 steps, at least two.
        lr: peak learning rate of each phase, or one for all; None for 2e-3 for the head and 4e-4 for layers.
        decay, shape, warmup: as in `Phase`.
        head_rows: maximum training rows for the head alone, if layers train after it; None for all.
        steps: steps of an epoch (`len(learn.dls.train)`), for the number of epochs; None for many.

    Raises:
        ValueError: the arguments differ in length, or the layers do not ascend.

    >>> [(p.name, p.freeze_to, p.epochs) for p in gradual_unfreezing(8)]
    [('head', 7, 1), ('last 4 layers', 3, 2)]
    """
    if epochs is None:
        epochs = [1 if count == 0 else epochs_for(steps) for count in layers]
    if lr is None:
        lr = [HEAD_LR if count == 0 else LR for count in layers]
    rates = [lr] * len(layers) if isinstance(lr, int | float) else list(lr)
    if not len(layers) == len(epochs) == len(rates):
        raise ValueError(f"layers={layers}, epochs={epochs} and lr={lr} must have the same length")
    phases: list[Phase] = []
    for count, n, rate in zip(layers, epochs, rates, strict=True):
        first = 0 if count < 0 else max(1, n_groups - 1 - count)
        if phases and phases[-1].freeze_to == first:
            phases.pop()
        elif phases and phases[-1].freeze_to < first:
            raise ValueError(f"layers={list(layers)} must ascend: a phase never freezes what the previous one trained")
        phases.append(Phase(layers_name(first, n_groups), first, n, rate, decay, shape, warmup))
    if phases[0].freeze_to == n_groups - 1:
        phases[0] = replace(phases[0], head="solved")
        if len(phases) > 1:
            phases[:2] = replace(phases[0], rows=head_rows), replace(phases[1], head="shrunk")
    return phases


def epochs_for(steps: int | None) -> int:
    """Return the epochs that take `MIN_STEPS`, at least `EPOCHS`, for a number of steps of an epoch.

    >>> epochs_for(10), epochs_for(200)
    (16, 2)
    """
    return EPOCHS if steps is None else max(EPOCHS, -(-MIN_STEPS // max(1, steps)))


def layers_name(first: int, n_groups: int) -> str:
    """Name the groups that train if `first` is the first of them."""
    if first == 0:
        return "everything"
    return last_layers(n_groups - 1 - first)


def last_layers(count: int) -> str:
    """Name the head with a number of layers below it."""
    return "head" if count == 0 else "last layer" if count == 1 else f"last {count} layers"
