"""Rows of a file, with its columns checked in terms of the options that name them, before a model is loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kickbert.utils.messages import nearest, plural

if TYPE_CHECKING:
    import pandas as pd


def read_columns(
    file: Path,
    encoding: str | None,
    sep: str | None,
    text: Sequence[str] | None,
    as_written: Sequence[str] = (),
    **others: str | None,
) -> "tuple[pd.DataFrame, list[str]]":
    """Read a file, and check that it has the columns that options name.

    Args:
        file, encoding, sep: as for `read_rows`.
        text: the text columns; None to find them.
        as_written: further columns whose cells stay text.
        others: columns of other options, by the option's name.
    Returns:
        The rows, and their text columns.
    Raises:
        ValueError: a column does not exist, or several columns look like text.
    """
    from kickbert.data.tables.reading import read_rows
    from kickbert.text.text_columns import find_text_columns

    df = read_rows(file, encoding, sep, [*(text or ["text"]), *as_written])
    columns = list(text or find_text_columns(df, others=list(others.values())))
    check_options(list(df), file, columns, **others)
    return df, columns


def check_options(columns: Sequence[str], file: Path, text: Sequence[str], **others: str | None) -> None:
    """Check the columns that --text, --label, and other options name, also those that they name by default.

    Raises:
        ValueError: a column does not exist.
    """
    options = [("--text", name) for name in text]
    options += [(f"--{option}", name) for option, name in others.items() if name is not None]
    for option, name in options:
        if name not in columns:
            known = ", ".join(repr(str(column)) for column in columns)
            hint = nearest(name, map(str, columns))
            raise ValueError(f"{file.name} has no column {name!r} ({option}). Columns: {known}{hint}")


def read_model_rows(
    model: Path,
    file: Path,
    encoding: str | None,
    sep: str | None,
    text: Sequence[str] | None = None,
    label: str | None = None,
    missing: str = "refuse",
) -> "pd.DataFrame":
    """Read a file, and check that it has the columns that a model reads and the label column.

    Raises:
        ValueError: a column does not exist, or --text names another number of columns than the model reads.
    """
    from kickbert.data.tables.reading import read_rows

    names, needed = _columns_of(model, text, missing)
    df = read_rows(file, encoding, sep, names)
    check_options(list(df), file, names, label=label)
    _check_beside(list(df), file, needed)
    return df


def check_model_columns(
    model: Path,
    file: Path,
    encoding: str | None,
    sep: str | None,
    text: Sequence[str] | None,
    keep: Sequence[str] = (),
    missing: str = "refuse",
) -> None:
    """Check that a file has the columns that a model reads and the columns to keep; reads a row at most.

    Raises:
        ValueError: a column does not exist, or --text names another number of columns than the model reads.
    """
    from kickbert.data.tables.reading import TableFile

    names, needed = _columns_of(model, text, missing)
    columns = list(next(TableFile(file, encoding, sep).chunks(1)))
    check_options(columns, file, names)
    _check_beside(columns, file, needed)
    for name in keep:
        if name not in columns:
            raise ValueError(f"{file.name} has no column {name!r} (--keep){nearest(name, map(str, columns))}")


def _columns_of(model: Path, text: Sequence[str] | None, missing: str) -> tuple[list[str], list[str]]:
    """The text columns of a file, those of --text or the model's, and the columns that it needs beside them.

    Raises:
        ValueError: --text names another number of columns than the model reads, or `missing` is unknown.
    """
    from kickbert.models.artifact.reading import read_artifact
    from kickbert.tabular.column_model import check_missing

    check_missing(missing)
    artifact = read_artifact(model)
    names = artifact.metadata["text_col"]
    if text and len(text) != len(names):
        raise ValueError(f"--text names {list(text)}, but the model has {plural(len(names), 'text column')}: {names}")
    columns = artifact.columns and artifact.columns.with_missing(missing)
    return list(text or names), columns.needed if columns else []


def _check_beside(columns: Sequence[str], file: Path, needed: Sequence[str]) -> None:
    """Check the columns that a model reads beside the text.

    Raises:
        ValueError: one does not exist.
    """
    absent = [name for name in needed if name not in columns]
    if absent:
        raise ValueError(
            f"{file.name} has no column {absent[0]!r}, which the model reads beside the text. Columns: "
            f"{', '.join(map(repr, columns))}{nearest(absent[0], map(str, columns))}. To predict without it, as if its "
            "cells were empty: --missing impute"
        )
