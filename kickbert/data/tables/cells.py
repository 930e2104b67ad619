"""Lossless column types, and unique column names."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import pandas as pd

INTEGER = r"[+-]?(?:0|[1-9][0-9]{0,17})"
DECIMAL = r"[+-]?(?:(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
EXACT = 2**53  # a float represents every integer up to this one


def column_names(header: Sequence[str]) -> list[str]:
    """Make the names of a header unique, as pandas does.

    >>> column_names(["text", "", "text"])
    ['text', 'Unnamed: 1', 'text.1']
    """
    taken = set(header)
    names: dict[str, int] = {}
    for i, name in enumerate(header):
        name = name or f"Unnamed: {i}"
        numbered = (f"{name}.{k}" for k in count(1))
        names[name if name not in names else next(n for n in numbered if n not in names and n not in taken)] = i
    return list(names)


def parse_column(cells: pd.Series) -> pd.Series:
    """Parse a column of text as numbers or booleans if every cell is one and loses no digit.

    Args:
        cells: strings, shape (n,); missing ones stay missing.
    Returns:
        A column of type "Int64", float64 or "boolean", or the cells unchanged.

    >>> parse_column(pd.Series(["1", None, "20"])).tolist(), parse_column(pd.Series(["007", "8"])).tolist()
    ([1, <NA>, 20], ['007', '8'])
    """
    present = cells.dropna()
    if present.empty:
        return cells
    if present.str.fullmatch(INTEGER).all():
        return cells.astype("Int64")
    if present.str.fullmatch(DECIMAL).all():
        return cells.astype(float)
    if present.isin(["True", "False"]).all():
        return cells.map({"True": True, "False": False}).astype("boolean")
    return cells


def cell_kind(cell: Any) -> str:
    """The kind of a cell of JSON or Excel, from which `column_type` chooses the type of its column."""
    if cell is None:
        return "missing"
    if isinstance(cell, int) and not isinstance(cell, bool):
        return "integer" if abs(cell) <= EXACT else "Int64" if -(2**63) <= cell < 2**63 else "object"
    return {bool: "boolean", float: "float"}.get(type(cell), "object")


def column_type(kinds: set[str]) -> str:
    """The dtype that represents cells of these kinds exactly.

    >>> column_type({"integer", "missing"}), column_type({"integer", "float"}), column_type({"Int64", "float"})
    ('Int64', 'float64', 'object')
    """
    kinds = kinds - {"missing"}
    types = {"Int64": {"integer", "Int64"}, "float64": {"integer", "float"}, "boolean": {"boolean"}}
    return next((name for name, held in types.items() if kinds and kinds <= held), "object")
