"""Strata of a column without target options."""

import numpy as np

from kickbert.targets.base import Column
from kickbert.targets.binning import MARKS, QUANTILES, quantiles, read_numbers
from kickbert.targets.fitting import guess_kind
from kickbert.targets.options import TargetOptions


def default_strata(values: Column, delim: str | None = None) -> np.ndarray:
    """Return the stratum of each row: its label, each of several labels, or one of ten quantiles of its number.

    Numbers that are mostly unique are stratified by quantiles.

    Args:
        values: the target column, or several, nothing missing unless a row may have no label.
        delim: the delimiter between the labels of a cell.
    Returns:
        Shape (n,); or zeros and ones, shape (n, labels).
    """
    kind = guess_kind(values, delim=delim)
    if kind.is_multilabel:
        values, _ = kind.read(values, TargetOptions(label_delim=delim))
        return kind.strata(values)
    if values.nunique() > max(QUANTILES, len(values) / 2):
        for decimal in MARKS:  # a wrong mark does no harm here: it moves rows between quantiles
            try:
                return quantiles(read_numbers(values, decimal))
            except ValueError:
                continue
    return values.astype(str).to_numpy()
