"""Learning curves: scores by the number of training rows, which tell what more rows would bring."""

from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd

from kickbert.cache.storage import Cache
from kickbert.data.splits import TEST, TRAIN
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import all_scores
from kickbert.experiments.cross_validation import PART, assign_folds
from kickbert.training.factories import learner_from_df
from kickbert.training.fitting import fit_default
from kickbert.utils.progress import bar

LEFT_OUT = "left out"


def by_size(
    df: pd.DataFrame,
    sizes: Sequence[int],
    *,
    folds: int = 5,
    repeats: int = 3,
    fit: Callable[[Any], Any] = fit_default,
    seed: int = 42,
    cache: Cache | None = None,
    **recipe: Any,
) -> pd.DataFrame:
    """Cross-validate a recipe on growing subsets of the training rows; all of them read one cache.

    Args:
        df: the rows.
        sizes: numbers of training rows.
        folds: one in so many rows is held out to test on, the same for all sizes of a repeat.
        repeats: how often the rows are split anew.
        fit, seed, cache, recipe: as in `cross_validate`.
    Returns:
        A row per size and repeat: rows, repeat, and the scores of `evaluate`.
    Raises:
        ValueError: a size that is larger than what is there to train on.
    """
    assignment = assign_folds(df, recipe, folds, repeats, None, 0.1, seed)
    parts = assignment.parts[::folds]
    largest = min(int((part == TRAIN).sum()) for part in parts)
    if not sizes or max(sizes) > largest or min(sizes) < 2:
        raise ValueError(f"sizes={list(sizes)} must be from 2 to {largest:,}, the rows that are left to train on")
    options, rows = assignment.recipe | {"seed": seed, "cache": cache or Cache(), "valid": PART}, []
    for repeat, size in bar([(r, s) for r in range(repeats) for s in sorted(sizes)], "training on more and more rows"):
        part = subsample(parts[repeat], size, seed + repeat)
        with redirect_stdout(StringIO()):
            used = part != LEFT_OUT
            learn = learner_from_df(assignment.rows[used].assign(**{PART: part[used]}), **options)
            fit(learn)
            predictions = Predictions.from_model(learn, assignment.rows[part == TEST])
        rows.append({"rows": size, "repeat": repeat} | all_scores(predictions)(np.ones(len(predictions))))
    return pd.DataFrame(rows)


def subsample(part: np.ndarray, size: int, seed: int) -> np.ndarray:
    """The same parts with `size` of the training rows; subsets are nested: a smaller one lies in a larger one."""
    train = np.random.default_rng(seed).permutation(np.flatnonzero(part == TRAIN))
    subset = part.copy()
    subset[train[size:]] = LEFT_OUT
    return subset
