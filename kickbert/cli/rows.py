"""Rows of a file, with its columns checked in terms of the options that name them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kickbert.utils.messages import nearest

if TYPE_CHECKING:
    import pandas as pd


def read_columns(
    file: Path, encoding: str | None, sep: str | None, text: Sequence[str], target: str | None = None
) -> "pd.DataFrame":
    """Read a file, and check that it has the text columns and the target column.

    Raises:
        ValueError: a column does not exist.
    """
    from kickbert.data.tables.reading import read_rows

    df = read_rows(file, encoding, sep, text)
    check_options(df, file, text, target)
    return df


def check_options(
    df: "pd.DataFrame", file: Path, text: Sequence[str], target: str | None, **others: str | None
) -> None:
    """Check the columns that --text, --target, and other options name.

    Raises:
        ValueError: a column does not exist.
    """
    options = [("--text", name) for name in text]
    options += [(f"--{option}", name) for option, name in ({"target": target} | others).items() if name is not None]
    for option, name in options:
        if name not in df:
            columns = ", ".join(repr(str(column)) for column in df)
            raise ValueError(f"{file.name} has no column {name!r} ({option}). Columns: {columns}{nearest(name, df)}")
