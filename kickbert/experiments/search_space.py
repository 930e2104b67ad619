"""Search spaces: the hyperparameters to search, and the recipe for a point of the space.

The phases of a trial are the fidelities of successive halving: train the head, the last 2 layers, the last 4, and so on
up to `depth`. Each phase takes one epoch; the last one takes `epochs`.
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

# Searchable hyperparameters of the schedule, with their defaults.
SCHEDULE: dict[str, Any] = {
    "depth": 4,
    "epochs": 2,
    "head_lr": 2e-3,
    "lr": 4e-4,
    "decay": 0.9,
    "warmup": 0.1,
    "shape": "one_cycle",
}
# Arguments that must be the same in all trials, so that their scores are comparable.
FIXED = {
    "df", "text_col", "label_col", "cat_names", "cont_names", "date_names",
    "bins", "bin_format", "label_delim", "labels", "decimal", "task", "valid", "seed",
    "precision", "cache", "schedule", "metrics", "cbs", "path",
}  # fmt: skip
ARGUMENTS = [name for name in inspect.signature(learner_from_df).parameters if name not in FIXED]
PLAIN = (type(None), bool, int, float, str)  # types that Optuna can store
UNEVEN = 1.5  # minimum ratio of the largest to the smallest class for trying class weights
Space = Mapping[str, Sequence]


def default_space(
    texts: Sequence[str], codes: np.ndarray, target: Target, recipe: Mapping[str, Any]
) -> dict[str, Sequence]:
    """Choose the default search space: depth, epochs, learning rates and pooling, plus options that depend on the rows.

    These are cleaning if `kickbert[clean]` is installed, the truncation of long texts if some are too long, and class
    weights if the classes are imbalanced.

    Args:
        texts: texts of the rows.
        codes: class numbers, shape (n,).
        target: target of the model.
        recipe: arguments of `learner_from_df` that are fixed, so they are not searched.
    """
    space: dict[str, Sequence] = {
        "depth": [2, 4],
        "epochs": (1, 3),
        "lr": (1e-4, 8e-4, "log"),
        "pooling": ["cls", "mean", "attention"],
    }
    if all(importlib.util.find_spec(package) for package in ("ftfy", "selectolax")):
        space["cleaning"] = [None, "auto"]
    tokenizer = load_tokenizer(recipe.get("model"))
    limit = recipe.get("max_length") or min(512, tokenizer.model_max_length)
    if max(map(len, tokenizer(list(texts), verbose=False)["input_ids"])) > limit:
        space["long"] = ["truncate", "head+tail"]
    if type(target) is Labels and (counts := np.bincount(codes)).max() > UNEVEN * counts[counts > 0].min():
        space["class_weights"] = [None, "balanced"]
    return {name: values for name, values in space.items() if name not in recipe}


def check_space(space: Space) -> None:
    """Check the names and values of a search space.

    Raises:
        ValueError: an unknown name, no values, or an invalid range.
    """
    known = [*SCHEDULE, *ARGUMENTS]
    for name, values in space.items():
        if name in FIXED:
            raise ValueError(f"space contains {name!r}, which cannot be searched. Pass {name}=... to search() instead")
        if name not in known:
            hint = nearest(name, known) or f". Names: {', '.join(known)}"
            raise ValueError(f"space contains {name!r}, which is not a hyperparameter that can be searched{hint}")
        if isinstance(values, tuple):
            low, high, *log = values if len(values) > 1 else (None, None)
            numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in (low, high))
            if not numbers or low >= high or log not in ([], ["log"]) or (log and low <= 0):
                raise ValueError(
                    f"space[{name!r}]={values!r} is not a range. Give (low, high), (low, high, 'log') or a list"
                )
        elif not isinstance(values, list) or not values:
            raise ValueError(f"space[{name!r}]={values!r} must be a list of values or a range (low, high)")
    if not space:
        raise ValueError("space is empty. Omit it to search the default space")


def suggest(trial: Any, space: Space) -> dict[str, Any]:
    """Let an Optuna trial choose a value for each name in the space."""
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
    """Convert a point of the space to a recipe.

    Args:
        point: values by name.
        recipe: arguments of `learner_from_df` that all trials share.
    Returns:
        Arguments of `learner_from_df`, including the schedule.

    >>> recipe_at({"depth": 4, "epochs": 3, "lr": 1e-4, "pooling": "mean"}, {})["schedule"]["layers"]
    [0, 2, 4]
    """
    options = SCHEDULE | {name: value for name, value in point.items() if name in SCHEDULE}
    depth, epochs, head_lr, lr = (options.pop(name) for name in ("depth", "epochs", "head_lr", "lr"))
    counts = [0] if depth == 0 else [0, *(2**k for k in range(1, 9) if 2**k < depth or (depth < 0 and k < 3)), depth]
    schedule = {"layers": counts, "epochs": [1] * (len(counts) - 1) + [epochs]}
    schedule["lr"] = [head_lr] + [lr] * (len(counts) - 1)
    own = {name: value for name, value in point.items() if name not in SCHEDULE}
    return {**recipe, **own, "schedule": schedule | options}
