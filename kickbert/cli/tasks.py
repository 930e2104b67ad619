"""The option --task: a task by its name, with blanks or hyphens."""

from typing import Annotated

import typer


def task_name(name: str) -> str:
    """Find the name of a task by its spelling.

    Raises:
        BadParameter: no such task; the message lists them.
    """
    from kickbert.targets.kinds import target_class

    try:
        return target_class(name).task
    except ValueError as err:
        raise typer.BadParameter(str(err)) from err


Task = Annotated[
    str | None,
    typer.Option(
        parser=task_name,
        metavar="TASK",
        help="single-label, multi-label, ordinal or regression (default: detected)",
    ),
]
