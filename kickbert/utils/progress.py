"""Progress: bars in a notebook or a terminal but never in a log file, and lines printed by the first process only."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kickbert.utils.processes import rank

if TYPE_CHECKING:
    from tqdm import tqdm


def in_notebook() -> bool:
    """Tell whether this runs in a Jupyter kernel, whose cells show HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def interactive() -> bool:
    """Tell whether a person reads the output of this process: in a notebook or a terminal."""
    return rank() == 0 and (in_notebook() or sys.stdout.isatty())


def say(line: str) -> None:
    """Print a line at once; if several processes train together, only the first one prints."""
    if rank() == 0:
        print(line, flush=True)


def bar(steps: Iterable | None, comment: str, total: int | None = None, unit: str = "it") -> "tqdm":
    """Iterate over steps with a progress bar on standard error, which disappears at the end.

    Args:
        steps: what to iterate over; None to advance the bar with its `update` method.
        comment: text beside the bar.
        total: number of steps; None to take it from `steps`, if they have a length.
        unit: noun for a step, such as " rows".
    """
    from tqdm import tqdm

    shown = rank() == 0 and (in_notebook() or sys.stderr.isatty())
    return tqdm(steps, desc=comment, total=total, unit=unit, leave=False, disable=not shown)
