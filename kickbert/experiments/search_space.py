"""The space of a search: which values of which arguments are tried, and the recipe that a point of it stands for.

The ladder of a trial climbs by rungs, which are the fidelities of successive halving: the head, the last two layers,
the last four, and so on up to `depth`; an epoch each, `epochs` of the last.
"""

import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kickbert.data.transforms import load_tokenizer
from kickbert.targets.base import Target
from kickbert.targets.labels import Labels
from kickbert.training.factories import learner_from_df
from kickbert.utils.messages import nearest, shorten

# What is searched of the schedule, with the values of a name that a space leaves out.
SCHEDULE: dict[str, Any] = {
    "depth": 4,
    "epochs": 2,
    "head_lr": 2e-3,
    "lr": 4e-4,
    "decay": 0.9,
    "warmup": 0.1,
    "shape": "one_cycle",
}
# Arguments that say what is predicted, from which rows, and where things go: trials of others could not be compared.
FIXED = {
    "df", "text_col", "label_col", "bins", "bin_format", "label_delim", "labels", "decimal", "task", "valid", "seed",
    "precision", "cache", "schedule", "metrics", "cbs", "path",
}  # fmt: skip
ARGUMENTS = [name for name in inspect.signature(learner_from_df).parameters if name not in FIXED]
PLAIN = (type(None), bool, int, float, str)  # what Optuna keeps as it is
UNEVEN = 1.5  # times the rows of the smallest class that the largest has, from which weights are worth a try
Space = Mapping[str, Sequence]


def default_space(
    texts: Sequence[str], codes: np.ndarray, target: Target, recipe: Mapping[str, Any]
) -> dict[str, Sequence]:
    """What is searched unless told otherwise: depth, rates, epochs, pooling; and what the rows give reason to.

    That is cleaning where `kickbert[clean]` is installed, the part of a text that is kept where some are too long, and
    class weights where classes are uneven.

    Args:
        texts: of the rows.
        codes: their classes, shape (n,).
        target: what is predicted.
        recipe: arguments of `learner_from_df`, which stay as they are.
    """
    space: dict[str, Sequence] = {
        "depth": [2, 4],
        "epochs": (1, 3),
        "head_lr": (5e-4, 5e-3, "log"),
        "lr": (1e-4, 8e-4, "log"),
        "pooling": ["cls", "mean", "attention"],
    }
    if all(importlib.util.find_spec(package) for package in ("ftfy", "selectolax")):
        space["cleaning"] = [None, "auto"]
    tokenizer = load_tokenizer(recipe.get("model", "roberta-base"))
    limit = recipe.get("max_length") or min(512, tokenizer.model_max_length)
    if max(map(len, tokenizer(list(texts), verbose=False)["input_ids"])) > limit:
        space["long"] = ["truncate", "head+tail"]
    if type(target) is Labels and (counts := np.bincount(codes)).max() > UNEVEN * counts[counts > 0].min():
        space["class_weights"] = [None, "balanced"]
    return {name: values for name, values in space.items() if name not in recipe}


def check_space(space: Space) -> None:
    """Check the names and the values of a space.

    Raises:
        ValueError: an unknown name, with the nearest; no values, or a range that is none.
    """
    known = [*SCHEDULE, *ARGUMENTS]
    for name, values in space.items():
        if name in FIXED:
            raise ValueError(f"space has {name!r}, which all trials share; give {name}=… to search itself")
        if name not in known:
            hint = nearest(name, known) or f"; they are {known}"
            raise ValueError(
                f"space has {name!r}, which is neither an argument of learner_from_df that can be searched nor of the "
                f"schedule{hint}"
            )
        if isinstance(values, tuple):
            low, high, *log = values if len(values) > 1 else (None, None)
            numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in (low, high))
            if not numbers or low >= high or log not in ([], ["log"]) or (log and low <= 0):
                raise ValueError(
                    f"space[{name!r}]={values!r} is no range; give (low, high), (low, high, 'log') or a list of values"
                )
        elif not isinstance(values, list) or not values:
            raise ValueError(f"space[{name!r}]={values!r} must be a list of values, or a range (low, high)")
    if not space:
        raise ValueError("space is empty, so there is nothing to search; leave it out for the default one")


def suggest(trial: Any, space: Space) -> dict[str, Any]:
    """Let an Optuna trial choose a point of the space: a value by name."""
    point = {}
    for name, values in space.items():
        if isinstance(values, tuple):
            kind = trial.suggest_int if all(isinstance(end, int) for end in values[:2]) else trial.suggest_float
            point[name] = kind(name, *values[:2], log="log" in values)
        else:
            by_label = {v if isinstance(v, PLAIN) else f"{i}: {shorten(repr(v), 60)}": v for i, v in enumerate(values)}
            point[name] = by_label[trial.suggest_categorical(name, list(by_label))]
    return point


def recipe_at(point: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe that a point of the space stands for.

    Args:
        point: a value by name.
        recipe: arguments of `learner_from_df` that all trials share.
    Returns:
        Arguments of `learner_from_df`, with the schedule.

    >>> recipe_at({"depth": 4, "epochs": 3, "lr": 1e-4, "pooling": "mean"}, {})["schedule"]["layers"]
    [0, 2, 4]
    """
    how = SCHEDULE | {name: value for name, value in point.items() if name in SCHEDULE}
    depth, epochs, head_lr, lr = (how.pop(name) for name in ("depth", "epochs", "head_lr", "lr"))
    rungs = [0] if depth == 0 else [0, *(2**k for k in range(1, 9) if 2**k < depth or (depth < 0 and k < 3)), depth]
    schedule = {"layers": rungs, "epochs": [1] * (len(rungs) - 1) + [epochs]}
    schedule["lr"] = [head_lr] + [lr] * (len(rungs) - 1)
    own = {name: value for name, value in point.items() if name not in SCHEDULE}
    return {**recipe, **own, "schedule": schedule | how}
