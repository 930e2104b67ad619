"""CSV files: checked before they are read, and safe to open in a spreadsheet afterwards."""

import csv
import io
import re
from itertools import islice
from pathlib import Path

import pandas as pd

from kickbert.data.tables.headers import detect_separator

MAX_COLUMNS = 1_000
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a spreadsheet computes cells that start with one of these
_NUMBER = re.compile(r"[+-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?\s?%?")


class TooLarge(Exception):
    """A file is over one of the limits."""


def check_csv(content: bytes, max_rows: int, max_chars: int) -> None:
    """Check the size of a file, row by row, before it becomes a table.

    Args:
        content: CSV in any encoding that extends ASCII.
        max_rows: maximum rows below the header.
        max_chars: maximum characters per row.
    Raises:
        TooLarge: There are too many columns or rows, or a row is too long.
    """
    csv.field_size_limit(2**31 - 1)  # of the process; `TableFile` sets the same
    file = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", errors="replace", newline="")
    header = file.readline(max_chars + 1)
    _check_row(0, [header], max_chars)
    _check_row(0, re.split("[,;\t|]", header), max_chars)
    separator = detect_separator([header, *islice(file, 49)], ",")
    file.seek(0)
    for row, cells in enumerate(filter(None, csv.reader(file, delimiter=separator))):
        _check_row(row, cells, max_chars)
        if row > max_rows:
            raise TooLarge(f"the file has over {max_rows:,} rows; send fewer at a time, or run kickbert predict")


def _check_row(row: int, cells: list[str], max_chars: int) -> None:
    if len(cells) > MAX_COLUMNS:
        raise TooLarge(f"row {row:,} has {len(cells):,} columns; the limit is {MAX_COLUMNS:,}")
    if sum(map(len, cells)) > max_chars:
        raise TooLarge(f"row {row:,} has over {max_chars:,} characters")


def escape_formula(cell: str) -> str:
    r"""Prefix a cell that a spreadsheet might run as a formula with an apostrophe; numbers stay as they are.

    See OWASP, *CSV Injection*.

    >>> [escape_formula(cell) for cell in ("=1+1", "-5.2", "-cmd", "\t=1", "a = b")]
    ["'=1+1", '-5.2', "'-cmd", "'\t=1", 'a = b']
    """
    return f"'{cell}" if cell.startswith(FORMULA) and not _NUMBER.fullmatch(cell) else cell


def escape_formulas(file: Path) -> bytes:
    """Read a CSV file in UTF-8 and return it with escaped cells and column names, and the line ends of RFC 4180."""
    out = io.StringIO(newline="")
    chunks = pd.read_csv(file, chunksize=1_000, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False)
    with chunks:
        for chunk in chunks:
            # With "\n" as the line end, pandas would not quote a cell that contains a carriage return.
            chunk.map(escape_formula).to_csv(out, header=False, index=False, lineterminator="\r\n")
    return out.getvalue().encode()
