"""Find the columns of a DataFrame and read them as texts; rows that cannot be used are counted and named."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kickbert.text.cleaning import Cleaner
from kickbert.text.tokenization import join_columns
from kickbert.utils.cells import ERRORS, SEVERAL, is_blank
from kickbert.utils.messages import nearest, plural


def check_column(df: pd.DataFrame, column: str, argument: str) -> None:
    """Check that `column` is one of df.

    Raises:
        ValueError: it is not, and the message lists the columns and suggests the nearest name; or several columns have
            this name.
    """
    count = list(df.columns).count(column)
    if count == 1:
        return
    if count:
        raise ValueError(
            f"{argument}={column!r} is the name of {count} columns of df; rename the others, or drop them: "
            "df.loc[:, ~df.columns.duplicated()]"
        )
    names = [str(c) for c in df.columns]
    raise ValueError(f"{argument}={column!r} is not a column of df; columns are {names}{nearest(column, names)}")


def check_columns(df: pd.DataFrame, **columns: Sequence[str]) -> None:
    """Check that df is a DataFrame and has the columns.

    Args:
        columns: the column names by the argument that gives them: `check_columns(df, text_col=["name", "blurb"])`.
    Raises:
        TypeError: df is not a DataFrame.
        ValueError: column names have several levels, or a column is missing or named twice.
    """
    if not isinstance(df, pd.DataFrame):
        raise TypeError(f"df must be a pandas DataFrame, not {_type_name(df)}; {_to_frame(df)}")
    if any(isinstance(name, tuple) for name in df.columns):
        raise ValueError(
            f"column names of df are tuples, such as {df.columns[0]!r}. Give each column one name: "
            "df.columns = ['_'.join(map(str, name)) for name in df.columns]"
        )
    for argument, names in columns.items():
        for i, column in enumerate(names):
            check_column(df, column, argument)
            if column in list(names)[:i]:
                raise ValueError(f"{argument}={list(names)} has {column!r} twice")


def check_frame(df: pd.DataFrame, **columns: Sequence[str]) -> None:
    """Check that df is a DataFrame with rows and has the columns, as `check_columns` does.

    Raises:
        TypeError, ValueError: df is not a DataFrame, a column is missing, or there are no rows.
    """
    check_columns(df, **columns)
    if not len(df):
        raise ValueError("df has no rows; give at least a few rows per class")


def check_not_in_texts(text_col: Sequence[str], label_col: Sequence[str]) -> None:
    """Check that a model does not read what it is to predict.

    Raises:
        ValueError: there are no text columns, or a target column is one of them.
    """
    both = [column for column in label_col if column in text_col]
    if both:
        raise ValueError(f"{both[0]!r} is in text_col and in label_col: the model would read what it predicts")
    if not len(text_col):
        raise ValueError("text_col=[] names no column; give at least one")


def as_list(column: str | Sequence[str]) -> list[str]:
    """Convert one column name, or several, to a list.

    >>> as_list("text")
    ['text']
    """
    return list(column) if isinstance(column, SEVERAL) else [column]  # type: ignore[list-item]


def pick(df: pd.DataFrame, column: str | Sequence[str]) -> pd.Series | pd.DataFrame:
    """Select one column as a Series, or several as a DataFrame."""
    names = as_list(column)
    return df[names[0]] if len(names) == 1 else df[names]


def read_texts(
    df: pd.DataFrame, text_col: str | Sequence[str], cleaner: Cleaner | None = None
) -> tuple[list[str], np.ndarray]:
    """Read the text of each row; several columns are joined with the separator of `TokenEncoder`.

    Args:
        df: the rows.
        text_col: one column, or several in reading order.
        cleaner: applied to each column before they are joined.
    Returns:
        n strings, and which rows have no text, as `without_text` returns them (bool, shape (n,)).
    Warns:
        Cells that are not strings: counted, and converted with `str`, bytes decoded as UTF-8. Rows without text after
        cleaning: counted.
    """
    columns = as_list(text_col)
    return _read([df[column].astype(object).to_numpy() for column in columns], columns, cleaner)


def without_text(texts: Sequence[str]) -> np.ndarray:
    """Find rows in which all columns are blank, as `is_blank` defines it; they are not predicted.

    Returns:
        bool, shape (n,).

    >>> without_text(["a lamp", " ", join_columns(["", "x"], ["\\n", ""])[0]])
    array([False,  True,  True])
    """
    return np.array([is_blank(text) for text in texts], dtype=bool)  # the separator is a control character


def _read(cells: list[np.ndarray], columns: Sequence[str], cleaner: Cleaner | None) -> tuple[list[str], np.ndarray]:
    """Read the cells of each column, as `read_texts` does."""
    missing, numbers, texts = np.stack([pd.isna(column) for column in cells], 1), 0, []
    for i, column in enumerate(cells):
        odd = [not gone and not isinstance(cell, str) for cell, gone in zip(column, missing[:, i], strict=True)]
        numbers += sum(odd)
        texts.append([_text(cell, gone) for cell, gone in zip(column, missing[:, i], strict=True)])
    if numbers:
        warnings.warn(
            f"{plural(numbers, 'cell')} of {list(columns)} not of type str: converted with str()", stacklevel=4
        )
    joined = join_columns(*(_cleaned(texts, cleaner) if cleaner else texts))
    return joined, without_text(joined)


def read_items(items: Any, columns: Sequence[str], cleaner: Cleaner | None = None) -> tuple[list[str], np.ndarray]:
    """Read a DataFrame, or a list of strings, tuples (one text per column) or dicts, as `read_texts` does.

    Raises:
        TypeError: a single item instead of a list, or items without an order.
        ValueError: a column is missing, or an item has too many texts.
    """
    if isinstance(items, pd.DataFrame):
        check_columns(items, text_col=columns)
        return read_texts(items, columns, cleaner)
    _check_items(items, columns)
    items = list(items)
    cells = np.empty((len(columns), len(items)), dtype=object)
    for i, item in enumerate(items):
        for column, cell in zip(cells, _cells(item, columns), strict=True):
            column[i] = cell
    return _read(list(cells), columns, cleaner)


def original_texts(items: Any, columns: Sequence[str], texts: list[str], cleaner: Cleaner | None) -> list[str]:
    """Return texts before cleaning, for display, without the warnings that reading them gave.

    Args:
        items, columns: as for `read_items`.
        texts: their texts as they were read with `cleaner`.
        cleaner: the cleaning; None if there was none.
    """
    if cleaner is None:
        return texts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_items(items, columns)[0]


def _check_items(items: Any, columns: Sequence[str]) -> None:
    """Check that items are several, in an order: a dict or a row of a DataFrame is one item of several cells.

    Raises:
        TypeError: they are not.
    """
    is_row = isinstance(items, pd.Series) and not isinstance(items.index, pd.RangeIndex)
    is_row = is_row and all(column in items.index for column in columns)
    if is_row or isinstance(items, (str, bytes, tuple, Mapping)):
        raise TypeError(
            f"texts must be a list of texts or a DataFrame, not a single {_type_name(items)}; for one text give a "
            "list of it: [text]"
        )
    if hasattr(items, "to_pandas") or isinstance(items, (set, frozenset)) or not isinstance(items, Iterable):
        raise TypeError(f"texts must be a list of texts or a DataFrame, not {_type_name(items)}; {_to_frame(items)}")


def _type_name(value: Any) -> str:
    """The full name of a value's type, without "builtins".

    >>> _type_name([]), _type_name(np.array([]))
    ('list', 'numpy.ndarray')
    """
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _to_frame(table: Any) -> str:
    """How to make a DataFrame or a list of something else."""
    if isinstance(table, (set, frozenset)):
        return "a set has no order; convert it with sorted()"
    return (
        "convert it with its method to_pandas()" if hasattr(table, "to_pandas") else "make one with pd.DataFrame(...)"
    )


def _cells(item: Any, columns: Sequence[str]) -> list[Any]:
    """Return the cell of each column in an item."""
    if isinstance(item, (Mapping, pd.Series)):
        absent = [c for c in columns if c not in item]
        if absent:
            raise ValueError(f"the item has no {absent[0]!r}; this model reads {list(columns)}")
        return [item[c] for c in columns]
    if isinstance(item, (set, frozenset, pd.DataFrame)):
        raise TypeError(f"an item must be a text, a tuple or dict of texts, or a row, not {_type_name(item)}")
    several = isinstance(item, (Sequence, np.ndarray)) and not isinstance(item, (str, bytes))
    cells = list(item) if several else [item]
    if len(cells) > len(columns):
        raise ValueError(f"the item has {len(cells)} texts; this model reads {len(columns)}: {list(columns)}")
    return cells + [""] * (len(columns) - len(cells))


def _cleaned(texts: list[list[str]], cleaner: Cleaner) -> list[list[str]]:
    cleaned = [cleaner.apply(column) for column in texts]
    before, after = (
        np.array([all(map(is_blank, row)) for row in zip(*t, strict=True)], dtype=bool) for t in (texts, cleaned)
    )
    emptied = (after & ~before).sum()
    if emptied:
        warnings.warn(f"{plural(emptied, 'row')} without text after cleaning with {cleaner}", stacklevel=5)
    return cleaned


def _text(cell: object, missing: bool) -> str:
    if missing or (isinstance(cell, str) and cell.strip() in ERRORS):
        return ""
    text = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
    # The tokenizer refuses a lone surrogate, which broken exports contain.
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
