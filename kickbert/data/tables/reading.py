"""Read tables from files, whole or in chunks.

A cell is missing if it is empty, and only then: "NA", "None" and "null" are text. Nothing is shifted or rounded: a line
that does not fit its header is skipped and named, and integers stay integers beside missing cells. Columns of a text
file are text in chunks; `read_rows` parses columns of numbers and of True and False.
"""

import codecs
import csv
import json
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import ParseError

import pandas as pd

from kickbert.data.tables.annotations import read_annotations
from kickbert.data.tables.cells import cell_kind, column_names, column_type, parse_column
from kickbert.data.tables.class_labels import features_of, name_classes
from kickbert.data.tables.formats import detect_encoding, detect_separator, open_file, table_kind, usual_separator
from kickbert.data.tables.quoting import csv_reader, fit_of, hides_rows
from kickbert.utils.extras import require
from kickbert.utils.messages import listed

SHOWN = 5  # lines that a note names
NULLABLE = (pd.arrays.IntegerArray, pd.arrays.BooleanArray)
MAX_CELL = 2**31 - 1  # characters; the csv module's default is 131,072


class TableFile:
    """A table in a file. Encoding and separator are detected when it is opened.

    Args:
        source: .csv, .tsv, .jsonl, .txt (one text per line, column "text"), each also with .gz; .parquet; .xlsx (first
            sheet).
        encoding: of a text file; None to detect it.
        sep: separator of a CSV file, or "tab"; None to detect it.
    Attributes:
        notes: notes for the user about how the file was read, one sentence each; complete at the end of the file.
        skipped: lines that cannot be read, and why; complete at the end of the file.
        rows: number of rows if known without reading them, else None.
        schema: pyarrow schema of a Parquet file, else None.
    Raises:
        ValueError: no such file, an unsupported format, an unreadable file, or an invalid separator.
    """

    def __init__(self, source: str | Path, encoding: str | None = None, sep: str | None = None):
        self.source = Path(source).expanduser()
        self.encoding = encoding
        self.sep = "\t" if sep in ("tab", "\\t") else sep
        self.errors = "strict"
        self.escaped = False
        self.notes: list[str] = []
        self.skipped: list[str] = []
        self.rows: int | None = None
        self.schema: Any = None
        if not self.source.is_file():
            raise ValueError(f"File not found: {source}")
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
        self.rows = self.parquet.metadata.num_rows
        self.schema = self.parquet.schema_arrow

    def _detect(self) -> None:
        """Detect the encoding and the separator if they are not set, and note what is unusual."""
        unusual = []
        if self.encoding is None:
            self.encoding, damaged = detect_encoding(self.source)
            if damaged:
                self.errors = "replace"
                self.notes.append(
                    f"{self.source.name} is UTF-8 except for {_named(damaged)}, where unreadable characters became "
                    "\N{REPLACEMENT CHARACTER}"
                )
            if self.encoding != "utf-8":
                unusual.append(f"encoding {self.encoding!r} (change it with encoding= or --encoding)")
        if self.kind == "csv" and self.sep is None:
            usual = usual_separator(self.source)
            with self._text() as file:
                self.sep = detect_separator(list(islice(file, 50)), usual)
            if self.sep != usual:
                unusual.append(f"separator {self.sep!r} (change it with sep= or --sep)")
        if self.kind == "csv" and self._escapes_quotes():
            self.escaped = True
            unusual.append("quotes that are escaped with a backslash")
        if unusual:
            self.notes.append(f"{self.source.name}: detected {' and '.join(unusual)}")

    def _escapes_quotes(self) -> bool:
        """Whether more rows of a CSV file can be read if a backslash escapes a quote."""
        with self._text() as file:
            if not any('\\"' in line for line in file):
                return False
        fits = []
        for escaped in (False, True):
            with self._text() as file:
                fits.append(fit_of(file, self.sep or ",", escaped))
        return fits[1] > fits[0]

    def _text(self) -> IO:
        # Excel and others start UTF-8 with a byte order mark, which would become part of the first column's name.
        encoding = "utf-8-sig" if codecs.lookup(self.encoding or "utf-8").name == "utf-8" else self.encoding
        return open_file(self.source, "rt", encoding=encoding, errors=self.errors, newline="")

    def chunks(self, size: int | None = None) -> Iterator[pd.DataFrame]:
        """Read the rows, `size` at a time or all at once; every chunk has the same columns and types.

        Raises:
            ValueError: the file cannot be read, or has no rows.
        """
        readers: dict[str, Callable] = {"csv": self._csv, "txt": self._lines, "parquet": self._parquet}
        empty = True
        with _explained(self):
            for chunk in readers.get(self.kind, self._records)(size):
                empty = False
                yield chunk
        if empty:
            reason = f" that can be read: {self.skipped[0]}" if self.skipped else ""
            raise ValueError(f"{self.source} has no rows{reason}")

    def _csv(self, size: int | None) -> Iterator[pd.DataFrame]:
        with self._text() as file:
            rows = self._csv_rows(file)
            names = column_names(next(rows, []))
            while chunk := list(islice(rows, size)):
                yield _text_frame(chunk, names)

    def _csv_rows(self, file: IO) -> Iterator[list[str]]:
        """The header, then the rows with the same number of cells."""
        csv.field_size_limit(MAX_CELL)
        reader: Any = csv_reader(file, self.sep or ",", self.escaped)
        header = next((cells for cells in reader if cells), None)
        if header is None:
            raise ValueError("it is empty")
        yield header
        width = len(header)
        named = max(i for i, name in enumerate(header, 1) if name or i == 1)
        short: list[int] = []
        repeated: list[int] = []
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as err:  # the reader continues at the next line
                lines = _span(line, reader.line_num)
                self.skipped.append(f"{lines}: a quote is not closed at the end of the cell ({err})")
                continue
            if cells is None:
                break
            if any(cells[width:]):
                lines = _span(line, reader.line_num)
                self.skipped.append(f"{lines} has {len(cells)} cells where the header has {width}")
            elif cells == header and width > 1:
                repeated.append(line)
            elif cells:
                if hides_rows(cells, self.sep or ","):
                    self.notes.append(
                        f"{_span(line, reader.line_num)} of {self.source.name} were read as one row, because a quote "
                        "opens in the first and closes in the last. If they are several rows, fix the quotes"
                    )
                short += [line] if len(cells) < named else []
                yield cells[:width] + [""] * (width - len(cells))
        if repeated:
            self.notes.append(f"Skipped {_named(repeated)} of {self.source.name}: the header again")
        if short:
            self.notes.append(
                f"{_named(short)} of {self.source.name}: fewer cells than the header; the rest is missing"
            )

    def _lines(self, size: int | None) -> Iterator[pd.DataFrame]:
        with self._text() as file:
            while chunk := [[line.rstrip("\r\n")] for line in islice(file, size)]:
                yield _text_frame(chunk, ["text"])

    def _records(self, size: int | None) -> Iterator[pd.DataFrame]:
        """Rows that are dicts; a first pass determines the columns and types of all rows."""
        sheet = self._excel_rows() if self.kind == "excel" else None
        kinds: dict[str, set[str]] = {}
        for row in self._json_rows(self.skipped) if sheet is None else sheet:
            for name, cell in row.items():
                kinds.setdefault(name, set()).add(cell_kind(cell))
        types = {name: column_type(kind) for name, kind in kinds.items()}
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
                    raise ValueError("it is one JSON array; JSON lines have one object per row, each on its own line")
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as err:
                    skipped.append(f"line {number:,} is not JSON: {err}")
                    continue
                if isinstance(row, dict):
                    yield row
                else:
                    skipped.append(f"line {number:,} is a {type(row).__name__}, not an object with columns and cells")

    def _excel_rows(self) -> list[dict[str, Any]]:
        require("openpyxl", extra="excel")
        from openpyxl.utils.escape import unescape

        with pd.ExcelFile(self.source, engine="openpyxl") as book:
            sheets = book.sheet_names
            cells = pd.read_excel(book, header=None, dtype=object, keep_default_na=False, na_values=[""])
        if len(sheets) > 1:
            self.notes.append(f"{self.source.name} has {len(sheets)} sheets; only the first, {sheets[0]!r}, was read")
        cells = cells.dropna(how="all").dropna(how="all", axis=1)
        cells = cells.astype(object).where(cells.notna(), None)
        header, *rows = cells.to_numpy().tolist() or [[]]
        names = column_names(["" if name is None else str(name) for name in header])
        return [
            {name: unescape(c) if isinstance(c, str) else c for name, c in zip(names, row, strict=True)} for row in rows
        ]

    def _parquet(self, size: int | None) -> Iterator[pd.DataFrame]:
        import pyarrow as pa

        nullable = {getattr(pa, f"{kind.lower()}{bits}")(): pd.array([], f"{kind}{bits}").dtype
                    for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)}  # fmt: skip
        nullable[pa.bool_()] = pd.BooleanDtype()
        for batch in [self.parquet.read()] if size is None else self.parquet.iter_batches(size):
            if len(batch):
                yield batch.to_pandas(types_mapper=nullable.get, ignore_metadata=True)


def read_rows(
    source: str | Path, encoding: str | None = None, sep: str | None = None, text_col: Sequence[str] = ()
) -> pd.DataFrame:
    """Read a whole file as a DataFrame; the export of an annotation tool as `read_annotations` returns it.

    Args:
        source, encoding, sep: as in `TableFile`.
        text_col: columns that always stay text.
    Raises:
        ValueError: no such file, an unreadable file, or one without rows.
    Warns:
        A detected encoding or separator, and lines that were skipped.
    """
    table = TableFile(source, encoding, sep)
    df = next(table.chunks())
    for note in table.notes:
        warnings.warn(note, stacklevel=2)
    if table.skipped:
        lines = "1 line" if len(table.skipped) == 1 else f"{len(table.skipped):,} lines"
        warnings.warn(f"Skipped {lines} of {table.source.name}: {'; '.join(table.skipped[:SHOWN])}", stacklevel=2)
    if table.kind == "csv":
        for name in df.columns:
            if name not in text_col:
                df[name] = parse_column(df[name])
    full = [name for name in df.columns if isinstance(df[name].array, NULLABLE) and df[name].notna().all()]
    df = df.astype({name: df[name].dtype.numpy_dtype for name in full})
    return read_annotations(name_classes(df, features_of(table.schema.metadata)) if table.schema is not None else df)


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
    return f"line{'s' if lines[1:] else ''} {listed(lines, SHOWN)}"


@contextmanager
def _explained(table: TableFile) -> Iterator[None]:
    """Turn the errors of the libraries that read a file into one sentence each."""
    try:
        yield
    except EOFError as err:
        raise ValueError(f"{table.source} is truncated, as after an interrupted download; download it again") from err
    except UnicodeDecodeError as err:
        raise ValueError(
            f"{table.source} is not in encoding {table.encoding!r} ({err.reason}); choose another with encoding= "
            "(--encoding)"
        ) from err
    except (OSError, ValueError, LookupError, csv.Error, zlib.error, zipfile.BadZipFile, ParseError) as err:
        raise ValueError(f"{table.source} cannot be read: {err}") from err
