"""What a split is stratified by: classes, each of several labels, quantiles of a number."""

import numpy as np
import pandas as pd
from sklearn.preprocessing import MultiLabelBinarizer

from kickbert.targets.binning import MARKS, read_numbers
from kickbert.targets.kinds import MULTI
from kickbert.targets.multilabel import from_columns, label_lists

QUANTILES = 10


def strata_of(values: pd.Series | pd.DataFrame, task: str, is_number: bool = False) -> np.ndarray:
    """The stratum of each row: its label, each of several labels, or one of ten quantiles of its number.

    Args:
        values: the target column, or columns, as `TargetColumn` holds them.
        task: one of `kickbert.targets.kinds.TASKS`.
        is_number: whether the values are numbers.
    Returns:
        Shape (n,); or (n, labels) of zeros and ones for several labels.
    """
    if task == MULTI:
        return _indicators(values, None)
    return quantiles(values.to_numpy()) if is_number else values.astype(str).to_numpy()


def default_strata(values: pd.Series | pd.DataFrame, task: str, delim: str | None = None) -> np.ndarray:
    """The stratum of each row of a column that nobody has described.

    Numbers are not classes if most rows have their own; then the strata are quantiles.
    """
    if task == MULTI:
        return _indicators(values, delim)
    if values.nunique() > max(QUANTILES, len(values) / 2):
        for decimal in MARKS:  # a wrong mark does no harm here: it moves rows between quantiles
            try:
                return quantiles(read_numbers(values, decimal))
            except ValueError:
                continue
    return values.astype(str).to_numpy()


def quantiles(numbers: np.ndarray) -> np.ndarray:
    """The quantile of each number, of ten, or of fewer where that would leave one with a single row; int64."""
    ranks = pd.Series(numbers).rank(method="first").to_numpy()
    count = max(1, min(QUANTILES, len(numbers) // 2))
    return (ranks * count // (len(numbers) + 1)).astype(int)


def _indicators(values: pd.Series | pd.DataFrame, delim: str | None) -> np.ndarray:
    if isinstance(values, pd.DataFrame):
        return from_columns(values)
    return MultiLabelBinarizer().fit_transform([map(str, labels) for labels in label_lists(values, delim)])
