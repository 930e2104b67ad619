"""Write tables in chunks: CSV, JSON Lines, Parquet, Excel. Text is UTF-8; numbers are not rounded."""

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

from kickbert.data.tables.compression import open_file
from kickbert.data.tables.formats import WRITABLE, table_kind, usual_separator
from kickbert.utils.extras import require

EXCEL_ROWS, EXCEL_CHARACTERS, EXCEL_DIGITS = 2**20, 32_767, 15  # Excel's limits
# Characters that XML cannot represent, and text that looks like their escape (ECMA-376, ST_Xstring).
EXCEL_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


@contextmanager
def table_writer(part: Path, out: Path, schema: Iterable[Any] = ()) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Open a file and yield a function that writes one chunk; all chunks have the same columns and types.

    Args:
        part: file to write.
        out: final path; its extension determines the format.
        schema: pyarrow fields of the columns that come from a Parquet file; the types of others are inferred.
    """
    kind = table_kind(out, WRITABLE)
    if kind == "excel":
        yield from _excel_writer(part)
    elif kind == "parquet":
        yield from _parquet_writer(part, schema)
    else:
        options = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
        with open_file(part, "wt", like=out, **options) as file:
            yield _lines_writer(file) if kind == "json" else _csv_writer(file, usual_separator(out))


def _csv_writer(file: IO[str], sep: str) -> Callable[[pd.DataFrame], None]:
    header = [True]

    def write(df: pd.DataFrame) -> None:
        mixed = [name for name in df.columns if df[name].dtype == object]
        # Before Python 3.13, a cell with a carriage return is quoted only if the line terminator contains one.
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
        if cells.dtype == object:  # text, whatever later chunks contain
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
                f"A cell of {column!r} has {len(text):,} characters; Excel allows {EXCEL_CHARACTERS:,}. Write a .csv "
                "or .parquet file instead"
            )
        entry = WriteOnlyCell(sheet, EXCEL_ESCAPED.sub(lambda match: f"_x{ord(match[0]):04X}_", text))
        entry.data_type = "s"  # "=1+1" is text here, not a formula
        return entry

    def write(df: pd.DataFrame) -> None:
        if not rows[0]:
            sheet.append([cell(str(name), "header") for name in df.columns])
        rows[0] += len(df)
        if rows[0] >= EXCEL_ROWS:
            raise ValueError(f"Excel allows {EXCEL_ROWS:,} rows per sheet. Write a .csv or .parquet file instead")
        for row in zip(*_cells(df), strict=True):
            sheet.append([cell(value, name) for value, name in zip(row, df.columns, strict=True)])

    with closing(sheet):
        yield write
    book.save(part)


def _excel_holds(value: Any) -> bool:
    """Tell whether Excel can store a value exactly: numbers up to 15 digits, dates without a time zone."""
    if isinstance(value, (int, float)):
        return math.isfinite(value) and (isinstance(value, float) or abs(value) < 10**EXCEL_DIGITS)
    return isinstance(value, (date, time)) and getattr(value, "tzinfo", None) is None


def _cells(df: pd.DataFrame) -> list[list[Any]]:
    """Convert each column to a list of Python values, None for missing ones."""
    columns = [df.iloc[:, i] for i in range(df.shape[1])]
    # The shortest decimal that represents a float32: 0.1, not 0.10000000149011612.
    columns = [c.astype(str).astype(float) if c.dtype == np.float32 else c for c in columns]
    return [c.astype(object).where(c.notna(), None).tolist() for c in columns]


def as_texts(cells: pd.Series) -> pd.Series:
    """Convert a column of mixed types to text; missing cells stay missing."""
    texts = [None if missing else _text(cell) for cell, missing in zip(cells, cells.isna(), strict=True)]
    return pd.Series(texts, cells.index, dtype=object)


def _text(cell: Any) -> str:
    """Convert a cell to text: lists and dicts as JSON, lone surrogates escaped because UTF-8 has none."""
    nested = isinstance(cell, (list, dict, np.ndarray))
    text = json.dumps(cell, ensure_ascii=False, default=_plain) if nested else str(cell)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(value: Any) -> Any:
    """Convert types that JSON lacks: arrays to lists, dates and decimals to text."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)
