"""Find the text column of a DataFrame in which no column has the default name."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from kickbert.text.columns import as_list, check_frame
from kickbert.utils.progress import say

DEFAULT = "text"
NAMES = ("text", "texts", "review", "sentence", "content", "message", "body", "comment", "tweet", "document")
WORDS = 3  # at least so many in most cells of a column of texts
SAMPLE = 1_000  # cells that are read


def find_text_columns(
    df: pd.DataFrame, text_col: str | Sequence[str] = DEFAULT, others: Sequence[Any] = ()
) -> list[str]:
    """Return the text columns: those that are named or, if df has no column `text`, the only one that looks like text.

    A column looks like text if it has a usual name, or if most cells have three words or more and few repeat. A line
    says which column is read.

    Args:
        df: the rows.
        text_col: a column, or several; "text" by default.
        others: columns that have another purpose, such as the target.
    Raises:
        TypeError, ValueError: df is not a DataFrame, has no rows, or several columns look like text.

    >>> find_text_columns(pd.DataFrame({"label": ["good"], "review": ["a warm film"]}), others=["label"])
    df has no column 'text': reading 'review', the only column that looks like text
    ['review']
    """
    columns = as_list(text_col)
    check_frame(df)
    if columns != [DEFAULT] or DEFAULT in df.columns:
        return columns
    named = [name for name in df.columns if name not in others and _plain(name) == DEFAULT]
    likely = [name for i, name in enumerate(df) if name not in others and _looks_like_text(name, df.iloc[:, i])]
    found = named or likely
    if len(found) > 1:
        raise ValueError(
            f"df has no column 'text', and several look like text: {found}. Name the one to read, or several to read "
            f"together: text_col={found[0]!r} (--text)"
        )
    if not found:
        return columns  # the check of columns refuses it
    say(f"df has no column 'text': reading {found[0]!r}, the only column that looks like text")
    return found


def _plain(name: object) -> str:
    return str(name).strip().casefold()


def _looks_like_text(name: object, column: pd.Series) -> bool:
    cells = [cell for cell in column.iloc[:SAMPLE] if isinstance(cell, str) and cell.strip()]
    if not cells:
        return False
    long = sum(len(cell.split()) >= WORDS for cell in cells)
    return _plain(name) in NAMES or (2 * long > len(cells) and 2 * len(set(cells)) > len(cells))
