"""A DataFrame column becomes classes: labels of any type, or numbers in ordered buckets."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from kickbert.frames import named

Format = str | Callable[[float], str] | None


@dataclass(frozen=True)
class Labels:
    """Classes that are given by name: strings, ints, bools or categories.

    Args:
        classes: the values as they stand in the column, in order.
    """

    classes: tuple[Any, ...]
    ordered = False

    @property
    def names(self) -> list[str]:
        """The classes as they are shown."""
        return [str(c) for c in self.classes]

    def encode(self, values: pd.Series) -> np.ndarray:
        """Class numbers, int64, shape (n,); -1 for a value that is no class."""
        return pd.Index(self.classes, dtype=object).get_indexer(values.astype(object)).astype(np.int64)

    def decode(self, codes: Sequence[int]) -> list[Any]:
        """The classes of the given numbers, as they stood in the column."""
        return [self.classes[int(i)] for i in codes]


@dataclass(frozen=True)
class Bins:
    """Ordered buckets of a number.

    Args:
        edges: inner edges, ascending; a value equal to an edge falls in the upper bucket.
        names: one a bucket, `len(edges) + 1` of them.
    """

    edges: tuple[float, ...]
    names: list[str]
    ordered = True

    def encode(self, values: pd.Series) -> np.ndarray:
        """Bucket numbers, int64, shape (n,)."""
        return np.digitize(read_numbers(values), self.edges).astype(np.int64)

    def decode(self, codes: Sequence[int]) -> list[str]:
        """The names of the buckets."""
        return [self.names[int(i)] for i in codes]


Target = Labels | Bins


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
        return values.to_numpy(dtype=float)
    text = values.astype(str).str.strip()
    numbers = pd.to_numeric(text.str.replace(r"[,$€£\s]", "", regex=True), errors="coerce").to_numpy(dtype=float)
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise ValueError(
            f"{bad.sum():,} of {len(values):,} cells of {values.name!r} are no numbers, such as {text[bad].iloc[0]!r}; "
            "bins need a numeric column: leave bins out if these are class names, or mend or drop those rows"
        )
    warnings.warn(f"column {values.name!r} holds numbers as text; they are read as numbers", stacklevel=4)
    return numbers


def fit_target(values: pd.Series, bins: int | Sequence[float] | None = None, form: Format = None) -> Target:
    """Learn the classes from the training rows alone.

    Args:
        values: the target column of the training rows, nothing missing.
        bins: None for labels; a number of quantile buckets; or the inner edges.
        form: how bucket edges are written, as in `range_names`.
    Raises:
        ValueError: one class only, or a column that cannot be read so.
    """
    if bins is None:
        return _fit_labels(values)
    numbers = read_numbers(values)
    edges = (
        bin_edges(pd.Series(numbers), bins) if isinstance(bins, (int, np.integer)) else np.asarray(bins, dtype=float)
    )
    if edges.ndim != 1 or not len(edges) or (np.diff(edges) <= 0).any() or not np.isfinite(edges).all():
        raise ValueError(f"bins={bins!r} must be a number of buckets or ascending inner edges")
    target = Bins(tuple(edges.tolist()), range_names(edges.tolist(), form))
    counts = np.bincount(np.digitize(numbers, edges), minlength=len(target.names))
    if counts.min() < len(numbers) / len(counts) / 2:
        sizes = ", ".join(f"{name}: {n:,}" for name, n in zip(target.names, counts, strict=True))
        warnings.warn(f"the bins of {values.name!r} are uneven ({sizes})", stacklevel=3)
    return target


def _fit_labels(values: pd.Series) -> Labels:
    if isinstance(values.dtype, pd.CategoricalDtype):
        present = set(values)
        classes = [c for c in values.cat.categories if c in present]
    else:
        classes = values.unique().tolist()
        classes = sorted(classes, key=None if len({type(c) for c in classes}) == 1 else str)
    if len(classes) < 2:
        raise ValueError(f"column {values.name!r} holds one class only, {classes}; a classifier needs at least two")
    if len(classes) == len(values) or (pd.api.types.is_float_dtype(values) and len(classes) > 100):
        example = values.iloc[0]
        raise ValueError(
            f"column {values.name!r} holds {len(classes):,} different values in {len(values):,} rows, such as "
            f"{example!r}: no classes; give the label column, or bins=4 for a numeric target"
        )
    return Labels(tuple(classes))


def unknown_labels(target: Target, values: pd.Series, codes: np.ndarray) -> str | None:
    """A sentence about rows whose label is no class, or None."""
    bad = codes < 0
    if not bad.any():
        return None
    labels = sorted({str(v) for v in values[bad]})
    return f"{bad.sum():,} rows have a label that training never saw ({labels[:5]}): rows {named(bad, values.index)}"
