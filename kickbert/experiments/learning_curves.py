"""Learning curves: scores by the number of training rows, to estimate the benefit of more rows."""

import gc
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
from kickbert.experiments.cross_validation import PART, assign_folds, with_known_weights
from kickbert.training.factories import learner_from_df
from kickbert.training.fitting import fit_default, fit_function
from kickbert.utils.progress import bar

LEFT_OUT = "left out"


def by_size(
    df: pd.DataFrame,
    sizes: Sequence[int],
    *,
    folds: int = 5,
    repeats: int = 3,
    fit: Callable[[Any], Any] | str = fit_default,
    seed: int = 42,
    cache: Cache | None = None,
    **recipe: Any,
) -> pd.DataFrame:
    """Evaluate a recipe on training subsets of increasing size; all of them share one cache.

    Args:
        df: labeled rows.
        sizes: numbers of training rows.
        folds: one of this many rows is held out for testing. The test rows are the same for all sizes of a repeat.
        repeats: number of different splits.
        fit, seed, cache, recipe: see `cross_validate`.
    Returns:
        One row per size and repeat, with the columns rows, repeat, and the scores of `evaluate`.
    Warns:
        A model has learned too little, such as one that predicts one class for all rows. It needs longer training
        before its score says anything about more rows.
    Raises:
        ValueError: a size is below 2 or above the number of training rows.
    """
    train = fit_function(fit)
    if "valid" in recipe:
        raise ValueError("by_size has no argument valid: it takes a tenth of the rows to validate on; omit it")
    assignment = assign_folds(df, recipe, folds, repeats, None, 0.1, seed)
    parts = assignment.parts[::folds]
    largest = min(int((part == TRAIN).sum()) for part in parts)
    if not sizes or max(sizes) > largest or min(sizes) < 2:
        raise ValueError(f"sizes={list(sizes)} must be between 2 and {largest:,}, the number of training rows")
    options, rows = assignment.recipe | {"seed": seed, "cache": cache or Cache(), "valid": PART}, []
    for repeat, size in bar([(r, s) for r in range(repeats) for s in sorted(sizes)], "training on more rows"):
        part = subsample(parts[repeat], size, seed + repeat)
        with redirect_stdout(StringIO()):
            used = part != LEFT_OUT
            own = with_known_weights(options, assignment, part == TRAIN)
            learn = learner_from_df(assignment.rows[used].assign(**{PART: part[used]}), **own)
            train(learn)
            predictions = Predictions.from_model(learn, assignment.rows[part == TEST])
            del learn
            gc.collect()  # a learner and its callbacks refer to one another
        rows.append({"rows": size, "repeat": repeat} | all_scores(predictions)(np.ones(len(predictions))))
    return pd.DataFrame(rows)


def subsample(part: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Keep `size` of the training rows and leave out the others; smaller subsets are contained in larger ones."""
    train = np.random.default_rng(seed).permutation(np.flatnonzero(part == TRAIN))
    subset = part.copy()
    subset[train[size:]] = LEFT_OUT
    return subset
