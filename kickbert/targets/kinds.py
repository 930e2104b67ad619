"""The kinds of target by the name of their task."""

import numpy as np

from kickbert.targets.base import Column, Target
from kickbert.targets.continuous import Continuous
from kickbert.targets.labels import Labels, OrderedLabels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.utils.messages import nearest, plural, row_names

TASKS: dict[str, type[Target]] = {kind.task: kind for kind in (Labels, MultiLabels, OrderedLabels, Continuous)}


def target_class(task: str) -> type[Target]:
    """Return the kind of target of a task; blanks, hyphens and underscores in its name are the same.

    Raises:
        ValueError: unknown task.

    >>> target_class("single-label").task, target_class("Multi label").task
    ('single label', 'multi-label')
    """
    kinds = {_spelled(kind.task): kind for kind in (*Target.kinds.values(), *TASKS.values())}
    if _spelled(task) not in kinds:
        raise ValueError(f"task={task!r} is not one of {list(TASKS)}{nearest(task, TASKS)}")
    return kinds[_spelled(task)]


def _spelled(task: str) -> str:
    return str(task).lower().replace("-", " ").replace("_", " ").strip()


def unseen_labels(target: Target, values: Column) -> tuple[np.ndarray, str]:
    """Find rows with a label that is not in the training data (bool, shape (n,)), and describe them in a sentence."""
    bad, labels = target.unknown(values)
    rows = row_names(bad, values.index)
    return bad, f"{plural(bad.sum(), 'row')} with a label that is not in the training set ({labels[:5]}): {rows}"
