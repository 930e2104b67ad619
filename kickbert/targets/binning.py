"""Numbers: parsing, binning into ordered buckets, and formatting."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from numbers import Real

import numpy as np
import pandas as pd
import regex  # knows the class of currency signs, which `re` does not; transformers brings it

from kickbert.targets.options import Format, TargetOptions

QUANTILES = 10  # strata of a number
MARKS = {".": "point", ",": "comma"}
_CURRENCY = regex.compile(r"\p{Sc}")
_THOUSANDS = regex.compile(r"(?<=[0-9])[\s'’](?=[0-9]{3}(?![0-9]))")
# Digits, or groups of them; a group of two is India's, which has a decimal point.
_NUMBERS = {
    mark.strip("\\"): regex.compile(
        rf"[+-]?(?:(?:[0-9]+|[1-9][0-9]{{0,2}}{groups})(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    )
    for mark, groups in ((r"\.", r"(?:,[0-9]{2,3})*,[0-9]{3}"), (",", r"(?:\.[0-9]{3})+"))
}


def bin_edges(values: pd.Series, bins: int) -> np.ndarray:
    """Find the cut points that put nearly equal numbers of values in each of `bins` ordered buckets.

    Equal values stay together, so many ties make buckets uneven, but never empty.

    Args:
        values: numbers without NaN, shape (n,).
        bins: at least 2.
    Returns:
        Inner edges, shape (bins - 1,), ascending, halfway between two values.
    Raises:
        ValueError: there are fewer than `bins` distinct values, or NaN.

    >>> bin_edges(pd.Series([1, 2, 3, 4]), 2)
    array([2.5])
    >>> bin_edges(pd.Series([0, 0, 0, 0, 0, 5, 9]), 3)
    array([2.5, 7. ])
    """
    numbers = np.asarray(values, dtype=float)
    if bins < 2:
        raise ValueError(f"bins={bins} is too few; give at least 2")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{(~np.isfinite(numbers)).sum():,} of {len(numbers):,} values are not finite; drop them")
    distinct, counts = np.unique(numbers, return_counts=True)
    if len(distinct) < bins:
        raise ValueError(
            f"{len(distinct)} distinct values {distinct.tolist()} cannot fill bins={bins}; give fewer bins"
        )
    cuts: list[int] = []
    below = np.cumsum(counts)[:-1]  # below[i]: how many values are below a cut after distinct value i
    for k in range(1, bins):
        first = cuts[-1] + 1 if cuts else 0
        last = len(below) - (bins - 1 - k)  # leaves a distinct value for each remaining bucket
        cuts.append(first + int(np.abs(below[first:last] - len(numbers) * k / bins).argmin()))
    return (distinct[cuts] + distinct[np.add(cuts, 1)]) / 2


def short_number(value: float, digits: int = 2) -> str:
    """Write a number in a few characters.

    >>> [short_number(v) for v in (0, 7.5, 1432, 5300, 2_000_000)]
    ['0', '7.5', '1.4K', '5.3K', '2M']
    """
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K"), (1, "")):
        if abs(value) >= size * (1 - 0.5 * 10.0**-digits):
            return f"{float(f'{value / size:.{max(digits, len(str(int(abs(value / size)))))}g}'):g}{unit}"
    return f"{float(f'{value:.{digits}g}'):g}"


def range_names(edges: Sequence[float], form: Format = None) -> list[str]:
    """Name the buckets between `edges` as ranges.

    Args:
        edges: inner edges, ascending.
        form: format of a number: a function, or a unit such as "$" to put before short numbers.

    >>> range_names([1432, 5300], "$")
    ['under $1.4K', '$1.4K–5.3K', '$5.3K and over']
    """
    for digits in range(2, 18):  # as many digits as it takes to distinguish the edges
        write = form if callable(form) else lambda v, d=digits: short_number(v, d)
        text = [write(edge) for edge in edges]
        if callable(form) or len(set(text)) == len(text):
            break
    unit = form if isinstance(form, str) else ""
    inner = [f"{unit}{low}–{high}" for low, high in pairwise(text)]
    return [f"under {unit}{text[0]}", *inner, f"{unit}{text[-1]} and over"]


def read_numbers(values: pd.Series, decimal: str | None = None) -> np.ndarray:
    """Read the numbers of a column, float64, including numbers kept as text ("1,200.50", "$35", "1 200").

    Args:
        values: numbers or text.
        decimal: the decimal mark of text, "." or ","; None for the result of `decimal_mark`.
    Raises:
        ValueError: a cell is not a finite number, or text can be read in two ways.

    >>> read_numbers(pd.Series(["$1,000.50", "7"])), read_numbers(pd.Series(["1.000,50 €", "7"]), decimal=",")
    (array([1000.5,    7. ]), array([1000.5,    7. ]))
    """
    if pd.api.types.is_numeric_dtype(values):
        return check_finite(values, values.to_numpy(dtype=float, na_value=np.nan))
    mark = decimal_mark(values, decimal) or "."
    numbers = np.array([read_number(cell, mark) for cell in values], dtype=float)
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise ValueError(
            f"{bad.sum():,} of {len(values):,} cells of {values.name!r} are not numbers, such as "
            f"{str(values[bad].iloc[0])!r} (read with a decimal {MARKS[mark]}); bins and regression need a numeric "
            "column: leave bins out if these are class names, or fix or drop those rows"
        )
    return numbers


def decimal_mark(values: pd.Series, decimal: str | None = None) -> str | None:
    """Find the decimal mark of numbers kept as text; None for a column of numbers.

    "1,200" is 1200 or 1.2: the mark is a point if another cell has one that cannot separate thousands, such as "7.5".
    An amount of money does not have three decimals, so "$1,200" is 1200.

    Args:
        decimal: "." or ",", if the caller knows it.
    Raises:
        ValueError: `decimal` is neither; or a decimal comma is possible and `decimal` is None.

    >>> decimal_mark(pd.Series(["1,200", "7.5"])), decimal_mark(pd.Series(["1,200"]), ",")
    ('.', ',')
    """
    if decimal not in (None, *MARKS):
        raise ValueError(f"decimal={decimal!r} is not one of {list(MARKS)}")
    if pd.api.types.is_numeric_dtype(values) or not any(isinstance(cell, str) for cell in values):
        return None
    if decimal is not None:
        return decimal
    certain: dict[str, str] = {}  # a cell that needs each mark
    either: str | None = None  # a cell that allows both
    for cell in dict.fromkeys(cell for cell in values if isinstance(cell, str)):
        readings = {mark: number for mark in MARKS if np.isfinite(number := read_number(cell, mark))}
        different = len(set(readings.values())) > 1
        if different and _CURRENCY.search(cell):
            certain.setdefault(max(readings, key=readings.__getitem__), cell)
        elif different:
            either = either or cell
        elif len(readings) == 1:
            certain.setdefault(next(iter(readings)), cell)
    unclear = certain.get(",", None if "." in certain else either)
    if unclear is not None:
        numbers = {name: read_number(unclear, mark) for mark, name in MARKS.items()}
        shown = [
            f"{number:.12g} with a decimal {name}" if number == number else f"not a number with a decimal {name}"
            for name, number in numbers.items()
        ]
        raise ValueError(
            f"column {values.name!r} holds {unclear!r}, which is {' and '.join(shown)}; "
            "specify decimal=',' or decimal='.'"
        )
    return "."


def read_number(cell: object, mark: str) -> float:
    """Parse a cell as a number; NaN if it is not a number with this decimal mark."""
    if not isinstance(cell, str):
        return float(cell) if isinstance(cell, (Real, Decimal)) else np.nan
    text = _THOUSANDS.sub("", _CURRENCY.sub("", cell).strip()).replace("−", "-")
    if not _NUMBERS[mark].fullmatch(text):
        return np.nan
    return float(text.replace("," if mark == "." else ".", "").replace(mark, "."))


def check_finite(values: pd.Series, numbers: np.ndarray) -> np.ndarray:
    """Check that no number is infinite or missing, and return them.

    Raises:
        ValueError: a number is infinite or missing.
    """
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise ValueError(
            f"{bad.sum():,} of {len(values):,} cells of {values.name!r} are not finite: rows "
            f"{values.index[bad].tolist()[:5]}; fix or drop them"
        )
    return numbers


def read_number_column(values: pd.Series, options: TargetOptions) -> tuple[pd.Series, TargetOptions]:
    """Read a column of numbers: float64, and the options with the decimal mark of numbers kept as text.

    Warns:
        Numbers are kept as text: the decimal mark that they are read with.
    """
    known = options.target
    decimal = decimal_mark(values, options.decimal) if known is None else getattr(known, "decimal", None)
    numbers = read_numbers(values, decimal)
    if known is None and decimal is not None:
        warnings.warn(
            f"column {values.name!r} holds numbers as text; they are read with a decimal {MARKS[decimal]}", stacklevel=5
        )
    return pd.Series(numbers, index=values.index, name=values.name), replace(options, decimal=decimal)


def quantiles(numbers: np.ndarray) -> np.ndarray:
    """Assign each number to one of ten quantiles (int64), or of fewer if a quantile would have a single row."""
    ranks = pd.Series(numbers).rank(method="first").to_numpy()
    count = max(1, min(QUANTILES, len(numbers) // 2))
    return (ranks * count // (len(numbers) + 1)).astype(int)
