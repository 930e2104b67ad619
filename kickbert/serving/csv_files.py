"""CSV files that come from people and go back to their spreadsheets: measured before they are read, harmless after."""

import io
import re
from pathlib import Path

import pandas as pd

COLUMNS = 1_000  # of a file at most
SEPARATORS = b",;\t|"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a cell begins with that a spreadsheet computes
# A record: cells up to the end of the line, where a cell that begins with a quote may hold anything, unclosed or not.
_CELL = rb'(?:"(?:[^"]++|"")*+(?:"|\Z))?+[^,;\t|\r\n]*+'
_RECORD = re.compile(rb"(?=[^\r\n])%b(?:[,;\t|]%b)*+" % (_CELL, _CELL))
_NUMBER = re.compile(r"[+-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?\s?%?")


class TooLarge(Exception):
    """A file is over one of the limits."""


def check_csv(content: bytes, most_rows: int, most_chars: int) -> None:
    """Refuse a file that is too large before pandas makes objects of its cells.

    Args:
        content: of the file, in any encoding that has ASCII's separators and quotes.
        most_rows: below the header.
        most_chars: of a row.
    Raises:
        TooLarge: too many columns or rows, or a row that is too long.
    """
    for row, record in enumerate(_RECORD.finditer(content)):
        if row == 0:
            columns = 1 + sum(record[0].count(separator) for separator in SEPARATORS)
            if columns > COLUMNS:
                raise TooLarge(f"the file has {columns:,} columns; send {COLUMNS:,} at most")
        bytes_of_row = record.end() - record.start()
        if bytes_of_row > most_chars and (chars := len(record[0].decode(errors="replace"))) > most_chars:
            raise TooLarge(f"row {row:,} has {chars:,} characters; send rows of {most_chars:,} at most")
        if row > most_rows:
            raise TooLarge(f"the file has over {most_rows:,} rows; send fewer at a time, or use kickbert predict")


def escape_formula(cell: str) -> str:
    r"""A cell that a spreadsheet shows and does not compute: an apostrophe before what it would take for a formula.

    Numbers stay as they are. See OWASP, *CSV Injection*.

    >>> [escape_formula(cell) for cell in ("=1+1", "-5.2", "-cmd", "\t=1", "a = b")]
    ["'=1+1", '-5.2', "'-cmd", "'\t=1", 'a = b']
    """
    return f"'{cell}" if cell.startswith(FORMULA) and not _NUMBER.fullmatch(cell) else cell


def escape_formulas(file: Path) -> bytes:
    """A CSV file that `predict_file` wrote, UTF-8 with the line ends of RFC 4180, every cell and name escaped."""
    out = io.StringIO(newline="")
    # Without the line ends of RFC 4180 a cell with a carriage return would not be quoted.
    cells = {"header": None, "dtype": str, "keep_default_na": False, "skip_blank_lines": False}
    with pd.read_csv(file, chunksize=1_000, **cells) as pieces:
        for piece in pieces:
            piece.map(escape_formula).to_csv(out, header=False, index=False, lineterminator="\r\n")
    return out.getvalue().encode()
