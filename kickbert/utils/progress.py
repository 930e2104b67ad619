"""Whether somebody watches, and a bar while they do."""

import sys
from collections.abc import Iterable, Sequence


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel, whose cells show HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def interactive() -> bool:
    """Whether somebody watches: a notebook, or standard output is a terminal. A log file gets no bars."""
    return in_notebook() or sys.stdout.isatty()


def bar(steps: Sequence, comment: str) -> Iterable:
    """The steps, with a bar while somebody watches; it is gone at the end."""
    if not interactive():
        return steps
    from fastprogress.fastprogress import progress_bar  # fastai's; a service, which shows no bars, does without

    shown = progress_bar(steps, leave=False)
    shown.comment = comment
    return shown
