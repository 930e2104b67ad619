"""What more rows would bring: a recipe trained on growing parts of the training rows."""

from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd

from kickbert.cache.storage import Cache
from kickbert.data.splits import TEST, TRAIN
from kickbert.evaluation.evaluation import scores_of
from kickbert.evaluation.predictions import Predictions
from kickbert.experiments.cross_validation import PART, assign_folds, fit_gradual
from kickbert.training.factories import learner_from_df
from kickbert.utils.progress import bar

LEFT_OUT = "left out"


def by_size(
    df: pd.DataFrame,
    sizes: Sequence[int],
    *,
    folds: int = 5,
    repeats: int = 3,
    fit: Callable[[Any], Any] = fit_gradual,
    seed: int = 42,
    cache: Cache | None = None,
    **recipe: Any,
) -> pd.DataFrame:
    """Scores by the number of training rows; all parts read one cache.

    Args:
        df: the rows.
        sizes: numbers of training rows.
        folds: one in so many rows is held out to judge by, the same for all sizes of a repeat.
        repeats: how often the rows are dealt anew.
        fit, seed, cache, recipe: as in `cross_validate`.
    Returns:
        rows, repeat, and the scores of `evaluate`.
    Raises:
        ValueError: a size that is larger than what is there to train on.
    """
    given = assign_folds(df, recipe, folds, repeats, None, 0.1, seed)
    parts = given.parts[::folds]
    most = min(int((part == TRAIN).sum()) for part in parts)
    if not sizes or max(sizes) > most or min(sizes) < 2:
        raise ValueError(f"sizes={list(sizes)} must be from 2 to {most:,}, the rows that are left to train on")
    how, rows = given.recipe | {"seed": seed, "cache": cache or Cache(), "valid": PART}, []
    for repeat, size in bar([(r, s) for r in range(repeats) for s in sorted(sizes)], "training on more and more rows"):
        part = smaller(parts[repeat], size, seed + repeat)
        with redirect_stdout(StringIO()):
            learn = learner_from_df(given.rows[part != LEFT_OUT].assign(**{PART: part[part != LEFT_OUT]}), **how)
            fit(learn)
            found = Predictions.from_model(learn, given.rows[part == TEST])
        rows.append({"rows": size, "repeat": repeat} | scores_of(found)(np.ones(len(found))))
    return pd.DataFrame(rows)


def smaller(part: np.ndarray, size: int, seed: int) -> np.ndarray:
    """The same parts with `size` of the training rows; a smaller size takes some of a larger one's rows."""
    train = np.random.default_rng(seed).permutation(np.flatnonzero(part == TRAIN))
    out = part.copy()
    out[train[size:]] = LEFT_OUT
    return out
