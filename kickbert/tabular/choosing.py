"""Choose the columns to read beside the text, fit each to its cells, and say which were left out and why."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from kickbert.tabular.columns import Category, Column, ColumnNames, Date, Number, is_auto, known_cells, read_cells
from kickbert.tabular.dates import date_format
from kickbert.tabular.leaks import leaks
from kickbert.text.columns import check_columns
from kickbert.utils.messages import listed

ARGUMENTS: dict[str, type[Column]] = {"cat_names": Category, "cont_names": Number, "date_names": Date}
SHARE = 0.95  # of the cells that are numbers, or dates, in a column of text
WORDS = 4  # mean number of words from which on a column is text
REPEATED = 0.5  # different values per row up to which text is a category
SHORT_DATE = 6  # characters; shorter texts are numbers, not dates
MOST_LISTED = 8


def find_columns(
    df: pd.DataFrame,
    names: ColumnNames,
    strata: np.ndarray,
    taken: Sequence[str],
    decimal: str | None = None,
    say: Callable[[str], object] = print,
) -> tuple[Column, ...]:
    """Fit the named columns, and those that "auto" chooses.

    Args:
        df: rows with text and label.
        names: the columns.
        strata: stratum of each row, as `Target.strata` returns it, to find leaks.
        taken: columns that are read otherwise: texts, target, split, group.
        decimal: decimal mark of numbers kept as text.
        say: prints a line about the choice of "auto".
    Raises:
        ValueError: an unknown column, one named twice, or one that cannot be read as what it is named.
    Warns:
        A named column that alone nearly determines the target.
    """
    check_columns(df, **names.by_argument)
    df = df.set_axis(df.columns.map(str), axis=1)
    taken = list(map(str, taken))
    named = _fitted(df, names, taken, decimal)
    free = [name for name in df.columns if name not in {*taken, *(column.name for column in named)}]
    chosen, left_out = _choose(df, free, names, decimal)
    found = leaks(df, [*named, *chosen], strata)
    for column in named:
        if column in found:
            warnings.warn(
                f"column {column.name!r} alone predicts the target almost always. If it is only known afterwards, or "
                "computed from the target, leave it out: the model would learn nothing else",
                stacklevel=4,
            )
    left_out += [(column.name, "it alone gives the target away") for column in chosen if column in found]
    chosen = [column for column in chosen if column not in found]
    if any(names.auto):
        say(_line(chosen, left_out))
    return (*named, *chosen)


def _fitted(df: pd.DataFrame, names: ColumnNames, taken: Sequence[str], decimal: str | None) -> list[Column]:
    """Fit the columns that are named."""
    seen: dict[str, str] = dict.fromkeys(taken, "text_col, label_col, or the split")
    columns: list[tuple[type[Column], str]] = []
    for argument, kind in ARGUMENTS.items():
        for name in map(str, names.by_argument[argument]):
            if name in seen:
                raise ValueError(f"{argument} names {name!r}, which is in {seen[name]} too; name it once")
            seen[name] = argument
            columns.append((kind, name))
    return [kind.fit(df[name], decimal) for kind, name in columns]


def _choose(
    df: pd.DataFrame, free: Sequence[str], names: ColumnNames, decimal: str | None
) -> tuple[list[Column], list[tuple[str, str]]]:
    """Choose columns of the kinds that are "auto"; also return those left out, each with the reason."""
    kinds = {kind for kind, names in zip(ARGUMENTS.values(), names, strict=True) if is_auto(names)}
    chosen: list[Column] = []
    left_out: list[tuple[str, str]] = []
    if not kinds:
        return chosen, left_out
    for name in free:
        kind, reason = guess_column(df[name])
        if kind is None:
            left_out.append((name, reason))
        elif kind in kinds:
            try:
                chosen.append(kind.fit(df[name], decimal))
            except ValueError as err:
                left_out.append((name, str(err).partition(";")[0]))
    return chosen, left_out


def guess_column(cells: pd.Series) -> tuple[type[Column] | None, str]:
    """Guess what a column holds; None and the reason if it is nothing to read beside the text.

    >>> guess_column(pd.Series(["a", "b", "a", "b"]))[0].kind, guess_column(pd.Series([1.5, 2.5]))[0].kind
    ('category', 'number')
    """
    known = cells[known_cells(cells)]
    if any(isinstance(cell, (list, dict, set, tuple, np.ndarray)) for cell in known):
        return None, "lists"
    distinct = known.nunique()
    if distinct < 2:
        return None, "constant"
    if pd.api.types.is_bool_dtype(known) or isinstance(known.dtype, pd.CategoricalDtype):
        return Category, ""
    if pd.api.types.is_datetime64_any_dtype(known):
        return Date, ""
    if pd.api.types.is_numeric_dtype(known):
        numbers_rows = pd.api.types.is_integer_dtype(known) and distinct == len(known) and len(known) > 20
        return (None, "a different whole number in each row") if numbers_rows else (Number, "")
    return _guess_text(known.astype(str), distinct / len(known))


def _guess_text(texts: pd.Series, different: float) -> tuple[type[Column] | None, str]:
    """Guess what a column of text holds."""
    if np.isfinite(read_cells(texts, None)).mean() >= SHARE:
        return Number, ""
    if texts.str.len().mean() >= SHORT_DATE and texts.str.contains(r"\d", regex=True).mean() >= SHARE:
        form = date_format(texts)
        if form and Date("", form).parses(texts) >= SHARE:
            return Date, ""
    if different > REPEATED and len(texts) > 20:
        text = texts.str.split().str.len().mean() >= WORDS
        return None, "text: name it in text_col" if text else "a different value in most rows"
    return Category, ""


def _line(chosen: Sequence[Column], left_out: Sequence[tuple[str, str]]) -> str:
    """Describe the choice of "auto" in one line."""
    line = f"columns beside the text: {listed([c.describe() for c in chosen], MOST_LISTED) if chosen else 'none'}"
    if left_out:
        line += f"; left out: {listed([f'{name} ({reason})' for name, reason in left_out], MOST_LISTED)}"
    return line
