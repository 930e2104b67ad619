"""Tables to files, piece by piece: CSV, JSON lines, Parquet, Excel. Text is written in UTF-8; nothing is rounded."""

import gzip
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import date, time
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from kickbert.data.tables.formats import WRITABLE, table_kind, usual_separator
from kickbert.utils.extras import require

EXCEL_ROWS, EXCEL_CHARACTERS, EXCEL_DIGITS = 2**20, 32_767, 15  # Excel's limits of a sheet, a cell, a number
# What XML cannot hold, or what would be read as such a character: Excel writes the code of it (ECMA-376, ST_Xstring).
EXCEL_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


@contextmanager
def table_writer(part: Path, out: Path, schema: Iterable[Any] = ()) -> Iterator[Callable[[pd.DataFrame], None]]:
    """A function that writes a piece of a table, all pieces of the same columns and types.

    Args:
        part: where to write.
        out: whose ending says how.
        schema: fields of pyarrow, for the columns that come from a Parquet file; the types of others are inferred.
    """
    kind = table_kind(out, WRITABLE)
    if kind == "excel":
        yield from _excel_writer(part)
    elif kind == "parquet":
        yield from _parquet_writer(part, schema)
    else:
        encoding = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
        opener: Callable[..., Any] = gzip.open if out.suffix.lower() == ".gz" else open
        with opener(part, "wt", **encoding) as file:
            yield _lines_writer(file) if kind == "jsonl" else _csv_writer(file, usual_separator(out))


def _csv_writer(file: IO[str], sep: str) -> Callable[[pd.DataFrame], None]:
    header = [True]

    def write(df: pd.DataFrame) -> None:
        mixed = [name for name in df.columns if df[name].dtype == object]
        # Before Python 3.13 a cell with a carriage return is only quoted where line ends have one.
        returns = any(isinstance(cell, str) and "\r" in cell for column in _cells(df) for cell in column)
        df.assign(**{name: as_texts(df[name]) for name in mixed}).to_csv(
            file,
            index=False,
            header=header.pop() if header else False,
            sep=sep,
            lineterminator="\r\n" if returns else "\n",
        )

    return write


def _lines_writer(file: IO[str]) -> Callable[[pd.DataFrame], None]:
    def write(df: pd.DataFrame) -> None:
        for row in zip(*_cells(df), strict=True):
            file.write(json.dumps(dict(zip(df.columns, row, strict=True)), ensure_ascii=False, default=_plain) + "\n")

    return write


def _parquet_writer(part: Path, schema: Any) -> Iterator[Callable[[pd.DataFrame], None]]:
    require("pyarrow", extra="export")
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    known = {field.name: getattr(field.type, "value_type", field.type) if pa.types.is_dictionary(field.type)
             else field.type for field in schema}  # fmt: skip
    writers: list[ParquetWriter] = []

    def column(cells: pd.Series) -> pa.Array:
        if cells.name in known:
            return pa.array(cells.astype(object), known[cells.name], from_pandas=True)
        if cells.dtype == object:  # text, whatever a later piece brings
            return pa.array(as_texts(cells), pa.string(), from_pandas=True)
        values = pa.array(cells, from_pandas=True)
        return values.cast(pa.string()) if pa.types.is_large_string(values.type) else values

    def write(df: pd.DataFrame) -> None:
        table = pa.table({name: column(df[name]) for name in df.columns})
        if not writers:
            writers.append(ParquetWriter(part, table.schema))
        writers[0].write_table(table)

    try:
        yield write
    finally:
        for writer in writers:
            writer.close()


def _excel_writer(part: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    require("openpyxl", extra="excel")
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheet = book.create_sheet("predictions")
    rows = [0]

    def cell(value: Any, column: str) -> Any:
        if value is None or _excel_holds(value):
            return value
        text = _text(value)
        if len(text) > EXCEL_CHARACTERS:
            raise ValueError(
                f"a cell of {column!r} has {len(text):,} characters, and Excel's hold {EXCEL_CHARACTERS:,} at most; "
                "write a .csv or .parquet"
            )
        entry = WriteOnlyCell(sheet, EXCEL_ESCAPED.sub(lambda match: f"_x{ord(match[0]):04X}_", text))
        entry.data_type = "s"  # "=1+1" is text here, not a formula
        return entry

    def write(df: pd.DataFrame) -> None:
        if not rows[0]:
            sheet.append([cell(str(name), "header") for name in df.columns])
        rows[0] += len(df)
        if rows[0] >= EXCEL_ROWS:
            raise ValueError(f"Excel's sheets hold {EXCEL_ROWS:,} rows at most; write a .csv or .parquet")
        for row in zip(*_cells(df), strict=True):
            sheet.append([cell(value, name) for value, name in zip(row, df.columns, strict=True)])

    with closing(sheet):
        yield write
    book.save(part)


def _excel_holds(value: Any) -> bool:
    """Whether a cell of Excel can hold a value as it is; it knows 15 digits and no time zones."""
    if isinstance(value, (int, float)):
        return math.isfinite(value) and (isinstance(value, float) or abs(value) < 10**EXCEL_DIGITS)
    return isinstance(value, (date, time)) and getattr(value, "tzinfo", None) is None


def _cells(df: pd.DataFrame) -> list[list[Any]]:
    """The cells of each column as Python's own values, None for missing ones."""
    columns = [df.iloc[:, i] for i in range(df.shape[1])]
    # The shortest decimals that mean a float32: 0.1, not 0.10000000149011612.
    columns = [c.astype(str).astype(float) if c.dtype == np.float32 else c for c in columns]
    return [c.astype(object).where(c.notna(), None).tolist() for c in columns]


def as_texts(cells: pd.Series) -> pd.Series:
    """The cells of a column of mixed types as text; missing ones stay missing."""
    texts = [None if missing else _text(cell) for cell, missing in zip(cells, cells.isna(), strict=True)]
    return pd.Series(texts, cells.index, dtype=object)


def _text(cell: Any) -> str:
    """A cell as text: lists and dicts as JSON; a lone surrogate, which UTF-8 cannot hold, as JSON writes it."""
    nested = isinstance(cell, (list, dict, np.ndarray))
    text = json.dumps(cell, ensure_ascii=False, default=_plain) if nested else str(cell)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(value: Any) -> Any:
    """What JSON has no type for: arrays as lists, dates and decimals as text."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)
