"""Numbers in ordered buckets: where to cut, and how to write it."""

import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

Format = str | Callable[[float], str] | None


def bin_edges(values: pd.Series, bins: int) -> np.ndarray:
    """Cut points that put as nearly as possible equal numbers of `values` in each of `bins` ordered buckets.

    Equal values stay together, so many ties (a heap of zeros) make buckets uneven, but never empty.

    Args:
        values: numeric, shape (n,), in the target's own unit; NaN is refused.
        bins: at least 2.
    Returns:
        Inner edges, shape (bins - 1,), ascending, halfway between two values.
    Raises:
        ValueError: fewer than `bins` distinct values, or NaN.

    >>> bin_edges(pd.Series([1, 2, 3, 4]), 2)
    array([2.5])
    >>> bin_edges(pd.Series([0, 0, 0, 0, 0, 5, 9]), 3)
    array([2.5, 7. ])
    """
    numbers = np.asarray(values, dtype=float)
    if bins < 2:
        raise ValueError(f"bins={bins} is too few; give at least 2")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{(~np.isfinite(numbers)).sum():,} of {len(numbers):,} values are not finite; leave them out")
    distinct, counts = np.unique(numbers, return_counts=True)
    if len(distinct) < bins:
        raise ValueError(
            f"{len(distinct)} distinct values {distinct.tolist()} cannot fill bins={bins}; give fewer bins"
        )
    below, cuts = np.cumsum(counts)[:-1], []  # below[i]: how many values lie under a cut after distinct value i
    for k in range(1, bins):
        first = cuts[-1] + 1 if cuts else 0
        last = len(below) - (bins - 1 - k)  # leaves a distinct value for each bucket to come
        cuts.append(first + int(np.abs(below[first:last] - len(numbers) * k / bins).argmin()))
    return (distinct[cuts] + distinct[np.add(cuts, 1)]) / 2


def short_number(value: float, digits: int = 2) -> str:
    """A number in a few characters.

    >>> [short_number(v) for v in (0, 7.5, 1432, 5300, 2_000_000)]
    ['0', '7.5', '1.4K', '5.3K', '2M']
    """
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K"), (1, "")):
        if abs(value) >= size * (1 - 0.5 * 10.0**-digits):
            return f"{float(f'{value / size:.{max(digits, len(str(int(abs(value / size)))))}g}'):g}{unit}"
    return f"{float(f'{value:.{digits}g}'):g}"


def range_names(edges: Sequence[float], form: Format = None) -> list[str]:
    """Names of the buckets between `edges`, read as ranges.

    Args:
        edges: inner edges, ascending.
        form: how a number is written: a function, or a unit such as "$" to stand before short numbers.

    >>> range_names([1432, 5300], "$")
    ['under $1.4K', '$1.4K–5.3K', '$5.3K and over']
    """
    for digits in range(2, 18):  # as many digits as it takes to tell the edges apart
        write = form if callable(form) else lambda v, d=digits: short_number(v, d)
        text = [write(edge) for edge in edges]
        if callable(form) or len(set(text)) == len(text):
            break
    unit = form if isinstance(form, str) else ""
    inner = [f"{unit}{low}–{high}" for low, high in pairwise(text)]
    return [f"under {unit}{text[0]}", *inner, f"{unit}{text[-1]} and over"]


def read_numbers(values: pd.Series) -> np.ndarray:
    """Numbers of a column, float64; numbers kept as text ("1,200", "$35") are read, with a warning.

    Raises:
        ValueError: some cells are no numbers.
    """
    if pd.api.types.is_numeric_dtype(values):
        return finite(values, values.to_numpy(dtype=float, na_value=np.nan))
    text = values.astype(str).str.strip()
    numbers = pd.to_numeric(text.str.replace(r"[,$€£\s]", "", regex=True), errors="coerce").to_numpy(dtype=float)
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise ValueError(
            f"{bad.sum():,} of {len(values):,} cells of {values.name!r} are no numbers, such as {text[bad].iloc[0]!r}; "
            "bins and regression need a numeric column: leave bins out if these are class names, or mend or drop those "
            "rows"
        )
    warnings.warn(f"column {values.name!r} holds numbers as text; they are read as numbers", stacklevel=4)
    return numbers


def finite(values: pd.Series, numbers: np.ndarray) -> np.ndarray:
    """The numbers, once it is known that none of them is infinite or missing.

    Raises:
        ValueError: some are.
    """
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise ValueError(
            f"{bad.sum():,} of {len(values):,} cells of {values.name!r} are not finite: rows "
            f"{values.index[bad].tolist()[:5]}; mend or drop them"
        )
    return numbers
