"""What a split is stratified by: classes, each of several labels, quantiles of a number."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.preprocessing import MultiLabelBinarizer

from kickbert.targets.binning import MARKS, read_numbers
from kickbert.targets.kinds import MULTI, REGRESSION
from kickbert.targets.multilabel import from_columns, label_lists

QUANTILES = 10


def strata_of(
    values: pd.Series | pd.DataFrame,
    task: str,
    bins: int | Sequence[float] | None = None,
    delim: str | None = None,
    decimal: str | None = None,
) -> np.ndarray:
    """The stratum of each row: its label, each of several labels, or one of ten quantiles of its number.

    Args:
        values: the target column, or columns, nothing missing but where a row may have no label.
        task: one of `kickbert.targets.kinds.TASKS`.
        bins, delim, decimal: as in `TargetOptions`.
    Returns:
        Shape (n,); or (n, labels) of zeros and ones for several labels.
    """
    if task == MULTI:
        return _indicators(values, delim)
    if bins is None and task != REGRESSION:
        return values.astype(str).to_numpy()
    return _quantiles(read_numbers(values, decimal))


def default_strata(values: pd.Series | pd.DataFrame, task: str, delim: str | None = None) -> np.ndarray:
    """As `strata_of`, where nobody says if numbers are classes: they are none where most rows have one of their own."""
    if task != MULTI and values.nunique() > max(QUANTILES, len(values) / 2):
        for decimal in MARKS:  # a wrong mark does no harm here: it moves rows between quantiles
            try:
                return _quantiles(read_numbers(values, decimal))
            except ValueError:
                continue
    return strata_of(values, task, delim=delim)


def _quantiles(numbers: np.ndarray) -> np.ndarray:
    ranks, count = pd.Series(numbers).rank(method="first").to_numpy(), max(1, min(QUANTILES, len(numbers) // 2))
    return (ranks * count // (len(numbers) + 1)).astype(int)


def _indicators(values: pd.Series | pd.DataFrame, delim: str | None) -> np.ndarray:
    if isinstance(values, pd.DataFrame):
        return from_columns(values)
    return MultiLabelBinarizer().fit_transform([map(str, labels) for labels in label_lists(values, delim)])
