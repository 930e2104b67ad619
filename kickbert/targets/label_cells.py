"""Cells with several labels: lists of labels, multi-hot lists, strings with a delimiter, or one column per label."""

import ast
import json
import re
from collections.abc import Hashable, Iterator, Mapping
from contextlib import suppress
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

from kickbert.utils.cells import is_blank
from kickbert.utils.messages import plural, shorten

DELIMITER = "|"  # between several labels in a cell of a file that kickbert writes
LISTS = (list, tuple, set, frozenset, np.ndarray)
_WRITTEN = re.compile(r"\[.*\]|\{.*\}|\(.*\)", re.DOTALL)
_BITS = {"0": 0, "1": 1}


def labeled_rows(values: pd.Series | pd.DataFrame) -> np.ndarray:
    """Find the rows with a label; with several columns, in each of them.

    A blank string (`is_blank`) is a missing cell, as in a file. A row that has none of the labels holds an empty list,
    or only the delimiter.

    Args:
        values: the label column or columns.
    Returns:
        bool, shape (n,).

    >>> labeled_rows(pd.Series(["a", " ", None, [], "|"])).tolist()
    [True, False, False, True, True]
    """
    if isinstance(values, pd.DataFrame):
        return np.all([labeled_rows(values.iloc[:, i]) for i in range(values.shape[1])], axis=0)
    labeled = values.notna().to_numpy(dtype=bool)
    if pd.api.types.is_numeric_dtype(values):
        return labeled
    return labeled & ~np.array([isinstance(cell, str) and is_blank(cell) for cell in values], dtype=bool)


def no_labels(values: pd.Series | pd.DataFrame, delim: str | None) -> str:
    """How to write that a row has none of the labels, as the end of a sentence."""
    if isinstance(values, pd.DataFrame):
        return f"fill them with zeros: df[{list(values.columns)}].fillna(0)"
    if delim is not None:
        return f"write only the delimiter, {delim!r}, into their cells"
    return "give them an empty list"


def label_lists(values: pd.Series, delim: str | None = None, width: int | None = None) -> list[list[Hashable]]:
    """List the labels of each row; a row may have none, and a cell may be missing.

    Args:
        values: strings, or lists, tuples, sets or arrays of labels; or multi-hot lists of zeros and ones; their
            labels are positions, from 0.
        delim: the delimiter between the labels of a string; labels in a list stay as they are.
        width: positions of multi-hot lists, 0 for lists of labels; None for the result of `multi_hot_width`.
    Raises:
        ValueError: lists written as text, soft labels, a missing label, or multi-hot lists of different lengths.

    >>> label_lists(pd.Series(["a|b", "", " b |", None]), "|")
    [['a', 'b'], [], ['b'], []]
    >>> label_lists(pd.Series([["a|b"], []]))
    [['a|b'], []]
    >>> label_lists(pd.Series([[1, 0, 1], [0, 0, 0]]))
    [[0, 2], []]
    """
    cells = [*_cells(values, delim)]
    width = _width(values, cells) if width is None else width
    if not width:
        return [list(dict.fromkeys(members)) for members in cells]
    for row, members in zip(values.index, cells, strict=True):
        if members and (len(members) != width or None in map(_bit, members)):
            raise ValueError(
                f"row {row!r} of column {values.name!r} holds {members}, which is not a list of {width} zeros and "
                "ones; give one position per label, as in training"
            )
    return [[position for position, member in enumerate(members) if _bit(member)] for members in cells]


def split_cells(values: pd.Series, delim: str | None = None) -> pd.Series:
    """Convert cells to lists of their members, keeping index and name; a missing cell becomes an empty list.

    Args:
        values, delim: as for `label_lists`.
    Raises:
        ValueError: lists that were written as text, soft labels, or a missing label.
    """
    return pd.Series([*_cells(values, delim)], index=values.index, name=values.name, dtype=object)


def multi_hot_width(values: pd.Series, delim: str | None = None) -> int:
    """Return the number of positions of multi-hot lists, as in simpletransformers and SetFit; 0 for lists of labels.

    Lists are multi-hot if they hold only zeros and ones, at least two of them, and have the same length.

    Raises:
        ValueError: lists of zeros and ones have different lengths and repeat members, so they are not sets either.

    >>> multi_hot_width(pd.Series([[1, 0, 1], [0, 0, 1]])), multi_hot_width(pd.Series([[0], [1]]))
    (3, 0)
    """
    return _width(values, [*_cells(values, delim)])


def _width(values: pd.Series, cells: list[list[Hashable]]) -> int:
    lengths = {len(members): row for row, members in zip(values.index, cells, strict=True) if members}
    if not lengths or max(lengths) < 2 or any(_bit(member) is None for members in cells for member in members):
        return 0
    if len(lengths) == 1:
        return next(iter(lengths))
    if any(len(set(members)) < len(members) for members in cells):
        short, long = min(lengths), max(lengths)
        raise ValueError(
            f"column {values.name!r} holds lists of zeros and ones with {short} and with {long} positions (rows "
            f"{lengths[short]!r} and {lengths[long]!r}); give each row one position per label"
        )
    return 0


def _bit(member: Hashable) -> int | None:
    """Return 0 or 1, or None for anything else."""
    if isinstance(member, str):
        return _BITS.get(member)
    return int(member) if isinstance(member, (Number, np.bool_)) and member in (0, 1) else None


def _cells(values: pd.Series, delim: str | None) -> Iterator[list[Hashable]]:
    """Yield the members of each cell."""
    for row, cell in values.items():
        if isinstance(cell, LISTS):
            members = sorted(cell, key=str) if isinstance(cell, (set, frozenset)) else list(cell)
            _check_members(members, row, values.name)
            yield members
        elif cell is None or cell is pd.NA or cell != cell:
            yield []
        else:
            yield _split(str(cell), delim, values.name)


def check_not_written(values: pd.Series) -> None:
    """Check that no cells are lists or dicts written as text, as a CSV file keeps them: each would be a class.

    Raises:
        ValueError: a cell is a list or a dict written as text, or all look like one.
    """
    cells = list(dict.fromkeys(cell.strip() for cell in values if isinstance(cell, str) and not is_blank(cell)))
    bracketed = [cell for cell in cells if _WRITTEN.fullmatch(cell)]
    several = bracketed if len(bracketed) == len(cells) else [cell for cell in bracketed if _is_written(cell)]
    if several:
        read = "ast.literal_eval"
        if len(several) < len(cells):
            read = "lambda cell: ast.literal_eval(cell) if cell[:1] in '[{(' else [cell]"
        raise ValueError(
            f"column {values.name!r} holds lists written as text, such as {shorten(several[0], 60)}. Read them: "
            f"df[{values.name!r}].map({read}); if these are names of classes, give task='single label'"
        )


def _is_written(cell: str) -> bool:
    """Tell whether a text is a list, tuple, set or dict as Python or JSON writes it."""
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return isinstance(read(cell), (*LISTS, dict))
    return False


def check_no_dicts(values: pd.Series | pd.DataFrame) -> None:
    """Check that no cell is a dict.

    Raises:
        ValueError: a cell is a dict.
    """
    if isinstance(values, pd.DataFrame):
        return
    cell = next((cell for cell in values if isinstance(cell, Mapping)), None)
    if cell is not None:
        raise ValueError(
            f"column {values.name!r} holds dicts, such as {shorten(str(cell), 60)}. Give the label in them: "
            f"df[{values.name!r}].map(lambda cell: cell[{next(iter(cell), 'label')!r}])"
        )


def _check_members(members: list[Any], row: Hashable, column: Hashable) -> None:
    """Check that a list holds labels.

    Raises:
        ValueError: a member is missing, a fraction, or not a label.
    """
    for member in members:
        where = f"row {row!r} of column {column!r} holds {members}"
        if not isinstance(member, Hashable):
            raise ValueError(f"{where}; labels are strings, numbers or booleans, not {type(member).__name__}")
        blank = isinstance(member, str) and is_blank(member)
        if blank or member is None or member is pd.NA or member != member:
            raise ValueError(
                f"{where}, in which a label is missing; drop it: "
                f"df[{column!r}].map(lambda labels: [x for x in labels if pd.notna(x) and str(x).strip()])"
            )
        if isinstance(member, (float, np.floating)) and member % 1:
            raise ValueError(
                f"{where}: training does not take soft labels, a probability per class. Give the most likely class, "
                f"df[{column!r}].map(np.argmax), or the labels over 0.5 as zeros and ones"
            )


def _split(cell: str, delim: str | None, column: Hashable) -> list[Hashable]:
    if delim is None:
        written = cell.strip().startswith("[") and cell.strip().endswith("]")
        hint = f"df[{column!r}].map(ast.literal_eval) reads lists that were written as text" if written else (
            "give label_delim if one string holds several labels"
        )  # fmt: skip
        raise ValueError(f"column {column!r} should hold lists of labels and holds {cell[:60]!r}; {hint}")
    return [label for part in cell.split(delim) if (label := part.strip())]


def from_columns(df: pd.DataFrame) -> np.ndarray:
    """Convert columns of zeros and ones to float32, shape (n, labels); a missing cell is zero.

    Raises:
        ValueError: a column holds other values.
    """
    for name in df.columns:
        others = df[name].dropna()
        others = others[~others.isin([0, 1])]
        if len(others):
            raise ValueError(
                f"label_col={list(df.columns)} are several columns, so each must hold 0 and 1; {name!r} holds "
                f"{others.iloc[0]} in {plural(len(others), 'row')}"
            )
    return df.astype(object).where(df.notna(), 0).astype(np.float32).to_numpy()
