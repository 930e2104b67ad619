"""Cells with several labels: split at a delimiter, lists, or a column of zeros and ones for each."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd


def label_lists(values: pd.Series, delim: str | None = None) -> list[list[Hashable]]:
    """The labels of each row; none is legal, and so is a missing cell.

    Args:
        values: strings, or lists, tuples, sets or arrays of labels.
        delim: what stands between the labels of a string; labels of a list are taken as they are.
    Raises:
        ValueError: lists that were written as text.
        TypeError: cells that hold neither.

    >>> label_lists(pd.Series(["a|b", "", " b |", None]), "|")
    [['a', 'b'], [], ['b'], []]
    >>> label_lists(pd.Series([["a|b"], []]))
    [['a|b'], []]
    """
    return [list(dict.fromkeys(_labels(cell, delim, values.name))) for cell in values]


def _labels(cell: Any, delim: str | None, column: Hashable) -> list[Hashable]:
    if isinstance(cell, (list, tuple, set, frozenset, np.ndarray)):
        return sorted(cell, key=str) if isinstance(cell, (set, frozenset)) else list(cell)
    if cell is None or cell is pd.NA or cell != cell:
        return []
    if not isinstance(cell, str):
        cell = str(cell)
    if delim is None:
        listed = cell.strip().startswith("[") and cell.strip().endswith("]")
        hint = f"df[{column!r}].map(ast.literal_eval) reads lists that were written as text" if listed else (
            "give label_delim if several labels stand in one string"
        )  # fmt: skip
        raise ValueError(f"column {column!r} should hold lists of labels and holds {cell[:60]!r}; {hint}")
    return [label for part in cell.split(delim) if (label := part.strip())]


def from_columns(df: pd.DataFrame) -> np.ndarray:
    """A column of zeros and ones for each label as float32, shape (n, labels); missing is zero.

    Raises:
        ValueError: other values.
    """
    for name in df.columns:
        odd = df[name].dropna()
        odd = odd[~odd.isin([0, 1])]
        if len(odd):
            raise ValueError(
                f"label_col={list(df.columns)} are several columns, so each must hold 0 and 1; {name!r} holds "
                f"{odd.iloc[0]} in {len(odd):,} rows"
            )
    return df.astype(object).where(df.notna(), 0).astype(np.float32).to_numpy()
