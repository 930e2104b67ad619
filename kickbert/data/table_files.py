"""Tables in files, read whole or piece by piece by one rule: CSV, JSON lines, Parquet, Excel, a text a line.

A cell is missing if it is empty, and only then: "NA", "None" and "null" are text. Nothing is shifted or rounded: a line
that does not fit its header is skipped and named, and whole numbers stay whole beside missing cells. Columns of a text
file are text; read whole, those of nothing but numbers, or of True and False, become numbers and truth values.
"""

import codecs
import csv
import json
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import ParseError

import pandas as pd

from kickbert.data.table_formats import (
    cell_kind,
    column_names,
    column_type,
    detect_encoding,
    detect_separator,
    open_file,
    parse_column,
    table_kind,
    usual_separator,
)
from kickbert.utils.extras import require

SHOWN = 5  # lines that a note names
NULLABLE = (pd.arrays.IntegerArray, pd.arrays.BooleanArray)
LONGEST = 2**31 - 1  # characters of a cell; the csv module takes 131,072 unless told


class TableFile:
    """A table in a file, whose encoding and separator are detected when it is opened.

    Args:
        source: .csv, .tsv, .jsonl, .txt (a text a line, column "text"), each also with .gz; .parquet; .xlsx (of several
            sheets the first).
        encoding: of a text file; None for what it looks like.
        sep: between the columns of a CSV file, "tab" for tabs; None for what it looks like.
    Attributes:
        notes: what a user must know of how the file was read, a sentence each; complete once it is read.
        skipped: lines that cannot be read, and why; complete once it is read.
        rows: how many it has, where that is cheap to know; else None.
        schema: of pyarrow, where the file has one; else None.
    Raises:
        ValueError: no file, a kind that is not known, one that cannot be read, or a separator that is none.
    """

    def __init__(self, source: str | Path, encoding: str | None = None, sep: str | None = None):
        self.source, self.encoding, self.sep = Path(source), encoding, {"tab": "\t", "\\t": "\t"}.get(sep, sep)
        self.notes: list[str] = []
        self.skipped: list[str] = []
        self.rows, self.schema, self.errors = None, None, "strict"
        if not self.source.is_file():
            raise ValueError(f"{source} is no file here")
        self.kind = table_kind(self.source)
        if self.sep is not None and (len(self.sep) != 1 or self.sep in '"\r\n'):
            raise ValueError(f"sep={sep!r} must be one character, such as ',' or ';', or 'tab'")
        with _explained(self):
            if self.kind == "parquet":
                self._open_parquet()
            elif self.kind != "excel":
                self._detect()

    def _open_parquet(self) -> None:
        require("pyarrow", extra="export")
        from pyarrow.parquet import ParquetFile

        self.parquet = ParquetFile(self.source)
        self.rows, self.schema = self.parquet.metadata.num_rows, self.parquet.schema_arrow

    def _detect(self) -> None:
        """Encoding and separator, where they were not given, and a note of what is not the usual."""
        unusual, usual = [], usual_separator(self.source)
        if self.encoding is None:
            self.encoding, damaged = detect_encoding(self.source)
            if damaged:
                self.errors = "replace"
                self.notes.append(
                    f"{self.source.name} is UTF-8 but for {_named(damaged)}, where what cannot be read became "
                    "\N{REPLACEMENT CHARACTER}"
                )
            unusual += [] if self.encoding == "utf-8" else [f"encoding {self.encoding!r} (encoding= or --encoding)"]
        if self.kind == "csv" and self.sep is None:
            with self._text() as file:
                self.sep = detect_separator(list(islice(file, 50)), usual)
            unusual += [] if self.sep == usual else [f"separator {self.sep!r} (sep= or --sep)"]
        if unusual:
            self.notes.append(f"{self.source.name} was read with {' and '.join(unusual)}, which it looks like")

    def _text(self) -> IO:
        # Excel and others begin UTF-8 with a byte order mark, which would become part of the first column's name.
        encoding = "utf-8-sig" if codecs.lookup(self.encoding).name == "utf-8" else self.encoding
        return open_file(self.source, "rt", encoding=encoding, errors=self.errors, newline="")

    def pieces(self, size: int | None = None) -> Iterator[pd.DataFrame]:
        """The rows, `size` at a time or all at once, every piece with the same columns and types.

        Raises:
            ValueError: the file cannot be read, or has no rows.
        """
        readers: dict[str, Callable] = {"csv": self._csv, "txt": self._lines, "parquet": self._parquet}
        empty = True
        with _explained(self):
            for piece in readers.get(self.kind, self._records)(size):
                empty = False
                yield piece
        if empty:
            raise ValueError(
                f"{self.source} has no rows" + (f" that can be read: {self.skipped[0]}" if self.skipped else "")
            )

    def _csv(self, size: int | None) -> Iterator[pd.DataFrame]:
        with self._text() as file:
            rows = self._csv_rows(file)
            names = column_names(next(rows, []))
            while chunk := list(islice(rows, size)):
                yield _text_frame(chunk, names)

    def _csv_rows(self, file: IO) -> Iterator[list[str]]:
        """The header, then the rows, each of as many cells."""
        csv.field_size_limit(LONGEST)
        reader = csv.reader(file, delimiter=self.sep, strict=True)
        header = next((cells for cells in reader if cells), None)
        if header is None:
            raise ValueError("it is empty")
        yield header
        width, named = len(header), max(i for i, name in enumerate(header, 1) if name or i == 1)
        short: list[int] = []
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as err:  # the reader goes on at the next line
                self.skipped.append(
                    f"{_span(line, reader.line_num)}: a quote is not closed where the cell ends ({err})"
                )
                continue
            if cells is None:
                break
            if any(cells[width:]):
                self.skipped.append(
                    f"{_span(line, reader.line_num)} has {len(cells)} cells where the header has {width}"
                )
            elif cells:
                short += [line] if len(cells) < named else []
                yield cells[:width] + [""] * (width - len(cells))
        if short:
            self.notes.append(
                f"{_named(short)} of {self.source.name}: fewer cells than the header, those at the end count as missing"
            )

    def _lines(self, size: int | None) -> Iterator[pd.DataFrame]:
        with self._text() as file:
            while chunk := [[line.rstrip("\r\n")] for line in islice(file, size)]:
                yield _text_frame(chunk, ["text"])

    def _records(self, size: int | None) -> Iterator[pd.DataFrame]:
        """Rows that come as dicts; a first pass learns the columns of them all, and their types."""
        sheet = self._excel_rows() if self.kind == "excel" else None
        kinds: dict[str, set[str]] = {}
        for row in self._json_rows(self.skipped) if sheet is None else sheet:
            for name, cell in row.items():
                kinds.setdefault(name, set()).add(cell_kind(cell))
        types = {name: column_type(found) for name, found in kinds.items()}
        rows = iter(self._json_rows([]) if sheet is None else sheet)
        while chunk := list(islice(rows, size)):
            columns = {name: pd.Series([row.get(name) for row in chunk], dtype=dtype) for name, dtype in types.items()}
            yield pd.DataFrame(columns, index=range(len(chunk)))

    def _json_rows(self, skipped: list[str]) -> Iterator[dict[str, Any]]:
        with self._text() as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                if number == 1 and line.lstrip().startswith("["):
                    raise ValueError(
                        "it is one JSON array; JSON lines have an object for each row, on a line of its own"
                    )
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as err:
                    skipped.append(f"line {number:,} is not JSON: {err}")
                    continue
                if isinstance(row, dict):
                    yield row
                else:
                    skipped.append(f"line {number:,} holds a {type(row).__name__}, not an object of column and cell")

    def _excel_rows(self) -> list[dict[str, Any]]:
        require("openpyxl", extra="excel")
        from openpyxl import load_workbook
        from openpyxl.utils.escape import unescape

        book = load_workbook(self.source, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # some programs write wrong ones, and rows would be cut to them
        rows = [row for row in sheet.iter_rows(values_only=True) if any(cell is not None for cell in row)]
        book.close()
        if len(book.sheetnames) > 1:
            self.notes.append(
                f"of the {len(book.sheetnames)} sheets of {self.source.name} the first, {sheet.title!r}, was read"
            )
        header, *rows = list(zip(*zip_longest(*rows), strict=True)) or [()]
        used = [i for i, name in enumerate(header) if name is not None or any(row[i] is not None for row in rows)]
        names = column_names(["" if header[i] is None else str(header[i]) for i in used])
        cells = ([unescape(row[i]) if isinstance(row[i], str) else row[i] for i in used] for row in rows)
        return [dict(zip(names, row, strict=True)) for row in cells]

    def _parquet(self, size: int | None) -> Iterator[pd.DataFrame]:
        import pyarrow as pa

        bits = (8, 16, 32, 64)
        whole = {getattr(pa, f"int{n}")(): pd.array([], f"Int{n}").dtype for n in bits}
        whole |= {getattr(pa, f"uint{n}")(): pd.array([], f"UInt{n}").dtype for n in bits}
        whole[pa.bool_()] = pd.BooleanDtype()
        for batch in [self.parquet.read()] if size is None else self.parquet.iter_batches(size):
            if len(batch):
                yield batch.to_pandas(types_mapper=whole.get, ignore_metadata=True)


def read_rows(
    source: str | Path, encoding: str | None = None, sep: str | None = None, text_col: Sequence[str] = ()
) -> pd.DataFrame:
    """A whole file as a DataFrame: to train on, to evaluate on.

    Args:
        source, encoding, sep: as for `TableFile`.
        text_col: columns that stay text, whatever they hold.
    Raises:
        ValueError: no file, one that cannot be read, or one without rows.
    Warns:
        Of an encoding or a separator that was detected, and of lines that were skipped.
    """
    table = TableFile(source, encoding, sep)
    df = next(table.pieces())
    skipped = [f"{len(table.skipped):,} lines of {table.source.name} were skipped: {'; '.join(table.skipped[:SHOWN])}"]
    for note in table.notes + (skipped if table.skipped else []):
        warnings.warn(note, stacklevel=2)
    if table.kind == "csv":
        df = df.assign(**{name: parse_column(df[name]) for name in df.columns if name not in text_col})
    full = [name for name in df.columns if isinstance(df[name].array, NULLABLE) and df[name].notna().all()]
    return df.astype({name: df[name].dtype.numpy_dtype for name in full})


def _text_frame(rows: list[list[str]], names: list[str]) -> pd.DataFrame:
    df = pd.DataFrame(rows, columns=names, dtype=str)
    return df.mask(df == "")


def _span(first: int, last: int) -> str:
    return f"line {first:,}" if first >= last else f"lines {first:,} to {last:,}"


def _named(lines: list[int]) -> str:
    """
    >>> _named([7]), _named([1, 2, 3, 4, 5, 6])
    ('line 7', 'lines 1, 2, 3, 4, 5 and 1 more')
    """
    more = f" and {len(lines) - SHOWN:,} more" if len(lines) > SHOWN else ""
    return f"line{'s' if lines[1:] else ''} {', '.join(map(str, lines[:SHOWN]))}{more}"


@contextmanager
def _explained(table: TableFile) -> Iterator[None]:
    """Errors of whatever reads a file, in a sentence each."""
    try:
        yield
    except EOFError as err:
        raise ValueError(
            f"{table.source} ends in the middle, as after a download that was cut short; fetch it again"
        ) from err
    except UnicodeDecodeError as err:
        raise ValueError(
            f"{table.source} is not in encoding {table.encoding!r} ({err.reason}); give another, encoding= (--encoding)"
        ) from err
    except (OSError, ValueError, LookupError, csv.Error, zlib.error, zipfile.BadZipFile, ParseError) as err:
        raise ValueError(f"{table.source} cannot be read: {err}") from err
