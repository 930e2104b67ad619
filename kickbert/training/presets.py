"""Presets of `fit_gradual`: lists of phases by name, from fast to accurate."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kickbert.training.schedule import HEAD_LR, HEAD_ROWS, Phase, epochs_for, gradual_unfreezing, layers_name
from kickbert.utils.messages import nearest

SIDE_EPOCHS = 3  # minimum epochs of the side network
SIDE_LR = 1e-3
BEST_EPOCHS = 3
BEST_LR = 3e-4
DEEPER_LAYERS = 4  # layers that each phase of "auto" past the schedule adds
DEEPER_EPOCHS = 2
DEEPER_LR = 2e-4


def fast(n_groups: int, schedule: Mapping[str, Any]) -> list[Phase]:
    """List the head, then a side network: nothing in the encoder trains."""
    rows = schedule.get("head_rows", HEAD_ROWS)
    # With the side network from the start, one pass computes the states of both.
    head = Phase("head", n_groups - 1, 1, HEAD_LR, rows=rows, head="solved", side=True)
    return [head, side_phase(n_groups, schedule.get("steps"))]


def balanced(n_groups: int, schedule: Mapping[str, Any]) -> list[Phase]:
    """List the head, then the last layers."""
    return gradual_unfreezing(n_groups, **schedule)


def best(n_groups: int, schedule: Mapping[str, Any]) -> list[Phase]:
    """List the head, then all layers, for longer."""
    epochs = max(BEST_EPOCHS, epochs_for(schedule.get("steps")))
    return gradual_unfreezing(
        n_groups, **{"layers": (0, n_groups - 2), "epochs": (1, epochs), "lr": (HEAD_LR, BEST_LR), **schedule}
    )


def auto(n_groups: int, schedule: Mapping[str, Any]) -> list[Phase]:
    """List the head, a side network, the last layers, then deeper ones; the deepest is listed twice.

    Without a phase for the head alone there is none for a side network either.
    """
    phases = gradual_unfreezing(n_groups, **schedule)
    if phases[0].freeze_to == n_groups - 1:
        phases.insert(1, side_phase(n_groups, schedule.get("steps")))
    while phases[-1].freeze_to > 2:
        first = max(2, phases[-1].freeze_to - DEEPER_LAYERS)
        name = layers_name(first, n_groups)
        phases.append(replace(phases[-1], name=name, freeze_to=first, epochs=DEEPER_EPOCHS, lr=DEEPER_LR, head="kept"))
    return [*phases, phases[-1]]


PRESETS: dict[str, Callable[[int, Mapping[str, Any]], list[Phase]]] = {
    "fast": fast,
    "balanced": balanced,
    "best": best,
    "auto": auto,
}


def preset(name: str, n_groups: int, schedule: Mapping[str, Any]) -> list[Phase]:
    """List the phases of a preset; for "auto", all that may come.

    Args:
        name: a name of `PRESETS`.
        n_groups: number of the model's groups.
        schedule: arguments of `gradual_unfreezing`.
    Raises:
        ValueError: there is no preset of this name.

    >>> [phase.name for phase in preset("auto", 8, {})]
    ['head', 'side network', 'last 4 layers', 'last 5 layers', 'last 5 layers']
    """
    check_preset(name)
    return PRESETS[name](n_groups, schedule)


def check_preset(name: str) -> None:
    """Check the name of a preset.

    Raises:
        ValueError: there is no preset of this name.
    """
    if name not in PRESETS:
        hint = nearest(name, PRESETS) or "."
        raise ValueError(f"preset {name!r} is not one of {', '.join(PRESETS)}{hint}")


def side_phase(n_groups: int, steps: int | None) -> Phase:
    """Make the phase of a side network, for a number of steps of an epoch."""
    epochs = max(SIDE_EPOCHS, epochs_for(steps))
    return Phase("side network", n_groups - 1, epochs, SIDE_LR, head="shrunk", side=True)
