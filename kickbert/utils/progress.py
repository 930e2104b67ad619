"""Progress: bars in a notebook or a terminal and never in a log file, and lines, by one of several processes alone."""

import sys
from collections.abc import Iterable, Sequence

from kickbert.utils.hardware import rank


def in_notebook() -> bool:
    """Tell whether this runs in a Jupyter kernel, whose cells show HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def interactive() -> bool:
    """Tell whether somebody watches: this is a notebook, or standard output is a terminal, of the first process."""
    return rank() == 0 and (in_notebook() or sys.stdout.isatty())


def say(line: str) -> None:
    """Print a line at once; of several processes that train together the first does."""
    if rank() == 0:
        print(line, flush=True)


def bar(steps: Sequence, comment: str) -> Iterable:
    """Iterate over steps, with a progress bar while somebody watches; it is gone at the end.

    Args:
        steps: of known length.
        comment: beside the bar.
    """
    if not interactive():
        return steps
    from fastprogress.fastprogress import progress_bar  # fastai's; a service, which shows no bars, does without

    shown = progress_bar(steps, leave=False)
    shown.comment = comment
    return shown
