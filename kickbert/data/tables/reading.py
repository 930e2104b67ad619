"""Read tables from files, whole or in chunks.

A cell is missing if it is empty, and only then: "NA", "None" and "null" are text. Nothing is shifted or rounded: a line
that does not fit its header is skipped and named, and integers stay integers beside missing cells. Columns of a text
file are text in chunks; `read_rows` parses columns of numbers and of True and False.
"""

import codecs
import csv
import lzma
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
from kickbert.data.tables.compression import content, open_file, table_name
from kickbert.data.tables.csv_rows import CsvRows
from kickbert.data.tables.encodings import detect_encoding
from kickbert.data.tables.formats import table_kind, usual_separator
from kickbert.data.tables.headers import delimiter_of_text, detect_layout, separator_line
from kickbert.data.tables.json_rows import json_rows
from kickbert.data.tables.quoting import fit_of
from kickbert.data.tables.sheets import read_sheet
from kickbert.data.tables.text_lines import SHOWN, TextLines, named_lines, span
from kickbert.utils.extras import require
from kickbert.utils.messages import listed, plural, shorten

SAMPLE = 50  # lines from which a separator is detected
NULLABLE = (pd.arrays.IntegerArray, pd.arrays.BooleanArray)
_UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    csv.Error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    ParseError,
    RuntimeError,
)  # fmt: skip - the last one of an encrypted .zip file


class TableFile:
    """A table in a file. Encoding and separator are detected when it is opened.

    Args:
        source: .csv, .tsv, .tab; .jsonl, .ndjson, .json (a list of objects, an object of columns, or one object per
            line); .parquet, .feather, .arrow; .xlsx, .xls, .ods (first visible sheet); .txt with one text per line
            (column "text") or with separators. Each may be compressed (.gz, .bz2, .xz, .zst) or be the one table in a
            .zip file.
        encoding: of a text file; None to detect it.
        sep: separator of a CSV or .txt file, or "tab"; "line" for a .txt file with one text per line; None to detect.
    Attributes:
        notes: notes for the user about how the file was read, one sentence each; complete at the end of the file.
        skipped: rows that cannot be read, and why; complete at the end of the file.
        skipped_lines: number of lines of those rows.
        rows: number of rows if known without reading them, else None.
        schema: pyarrow schema of a Parquet or Arrow file, else None.
    Raises:
        ValueError: no such file, an unsupported format, an unreadable file, or an invalid separator.
        ImportError: the package that reads the format is not installed.
    """

    def __init__(self, source: str | Path, encoding: str | None = None, sep: str | None = None):
        self.source = Path(source).expanduser()
        self.encoding = encoding
        self.sep = {"tab": "\t", "\\t": "\t", "line": "\n"}.get(sep or "", sep)
        self.errors = "strict"
        self.escaped = False
        self.above = 0
        self._newline = ""
        self.notes: list[str] = []
        self.skipped: list[str] = []
        self.skipped_lines = 0
        self.rows: int | None = None
        self.schema: Any = None
        if not self.source.is_file():
            raise ValueError(f"File not found: {source}")
        with _explained(self):
            self.name = table_name(self.source)
        self.kind = table_kind(self.name)
        one_text_per_line = self.sep == "\n" and self.kind == "txt"
        if self.sep is not None and (len(self.sep) != 1 or self.sep in '"\r\n') and not one_text_per_line:
            raise ValueError(f"sep={sep!r} must be one character, such as ',' or ';', or 'tab'")
        with _explained(self):
            if self.kind in ("parquet", "arrow"):
                self._open_arrow()
            elif self.kind != "excel":
                self._detect()

    def _open_arrow(self) -> None:
        require("pyarrow", extra="export")
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile

        file = content(self.source)
        self.arrow: Any
        if self.kind == "parquet":
            self.arrow = ParquetFile(file)
            self.rows, self.schema = self.arrow.metadata.num_rows, self.arrow.schema_arrow
            return
        source = pa.memory_map(str(file)) if isinstance(file, Path) else pa.BufferReader(file.getvalue())
        try:
            self.arrow = pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:  # the stream format, which the datasets library writes
            source.seek(0)
            self.arrow = pa.ipc.open_stream(source).read_all()
        self.rows, self.schema = self.arrow.num_rows, self.arrow.schema

    def _detect(self) -> None:
        """Detect the encoding and the separator if they are not set, and note what is unusual."""
        unusual = []
        if self.encoding is None:
            self.encoding, damaged = detect_encoding(self.source)
            if damaged:
                self.errors = "replace"
                self.notes.append(
                    f"{self.source.name} is UTF-8 except for {named_lines(damaged)}, where unreadable characters "
                    "became \N{REPLACEMENT CHARACTER}"
                )
            if self.encoding != "utf-8":
                unusual.append(f"encoding {self.encoding!r} (change it with encoding= or --encoding)")
        if self.kind in ("csv", "txt"):
            unusual += self._detect_layout()
        if unusual:
            self.notes.append(f"{self.source.name}: detected {' and '.join(unusual)}")

    def _detect_layout(self) -> list[str]:
        """Detect the separator, the lines above the header, and escaped quotes; return what is unusual."""
        unusual = []
        with self._text() as file:
            sample = [line.replace("\0", "") for line in islice(file, SAMPLE)]
        if any(line.endswith("\n") for line in sample):  # a carriage return alone is no line end then
            self._newline = "\n"
        given, usual = self.sep, usual_separator(self.name)
        if self.kind == "txt":
            self.sep = given or delimiter_of_text(sample)
            if given is None and self.sep == ",":  # common in texts
                self.sep = None
                self.notes.append(
                    f"{self.source.name}: read one text per line. If it is a table, set sep=',' or --sep ,"
                )
            if self.sep in (None, "\n"):
                return []
            self.kind = "csv"
            if given is None:
                unusual.append(
                    f"a table with separator {self.sep!r} (sep='line' or --sep line reads one text per line instead)"
                )
        self.sep, self.above = detect_layout(sample, usual, self.sep)
        if given is None and not unusual and self.sep != usual:
            unusual.append(f"separator {self.sep!r} (change it with sep= or --sep)")
        titles = [line.strip() for line in sample[: self.above] if line.strip()]
        if titles and separator_line(sample[0]) is None:
            self.notes.append(
                f"{self.source.name}: skipped {plural(self.above, 'line')} above the header, such as "
                f"{shorten(titles[0], 60)!r}"
            )
        if self._escapes_quotes():
            self.escaped = True
            unusual.append("quotes that are escaped with a backslash")
        return unusual

    def _escapes_quotes(self) -> bool:
        """Whether more rows of a CSV file can be read if a backslash escapes a quote."""
        with self._text() as file:
            if not any('\\"' in line for line in file):
                return False
        fits = []
        for escaped in (False, True):
            with self._text() as file:
                fits.append(fit_of(islice(file, self.above, None), self.sep or ",", escaped))
        return fits[1] > fits[0]

    def _text(self) -> IO:
        # Excel and others start UTF-8 with a byte order mark, which would become part of the first column's name.
        encoding = "utf-8-sig" if codecs.lookup(self.encoding or "utf-8").name == "utf-8" else self.encoding
        return open_file(self.source, "rt", encoding=encoding, errors=self.errors, newline=self._newline)

    @contextmanager
    def _text_lines(self) -> Iterator[TextLines]:
        """The lines of the file; a note at the end if there were NUL characters in them."""
        with self._text() as file:
            lines = TextLines(file)
            yield lines
        note = f"{self.source.name}: removed NUL characters from {named_lines(lines.with_nul)}"
        if lines.with_nul and note not in self.notes:
            self.notes.append(note)

    def _skip(self, first: int, last: int, text: str, reason: str) -> None:
        self.skipped.append(f"{span(first, last)}: {reason}: {shorten(text, 60)!r}")
        self.skipped_lines += last - first + 1

    def chunks(self, size: int | None = None) -> Iterator[pd.DataFrame]:
        """Read the rows, `size` at a time or all at once; every chunk has the same columns and types.

        Raises:
            ValueError: the file cannot be read, or has no rows.
        """
        readers: dict[str, Callable] = {"csv": self._csv, "txt": self._lines, "parquet": self._arrow}
        readers |= {"arrow": self._arrow, "json": self._records, "excel": self._records}
        empty = True
        with _explained(self):
            for chunk in readers[self.kind](size):
                empty = False
                yield chunk
        if empty:
            reason = f" that can be read: {self.skipped[0]}" if self.skipped else ""
            raise ValueError(f"{self.source} has no rows{reason}")

    def _csv(self, size: int | None) -> Iterator[pd.DataFrame]:
        with self._text_lines() as lines:
            for _ in range(self.above):
                next(lines, "")
            rows = CsvRows(lines, self.sep or ",", self.escaped, self._skip)
            names = column_names(rows.header)
            each = iter(rows)
            while chunk := list(islice(each, size)):
                yield _text_frame(chunk, names)
            self.notes += rows.notes(self.source.name)

    def _lines(self, size: int | None) -> Iterator[pd.DataFrame]:
        with self._text_lines() as lines:
            while chunk := [[line.rstrip("\r\n")] for line in islice(lines, size)]:
                yield _text_frame(chunk, ["text"])

    def _records(self, size: int | None) -> Iterator[pd.DataFrame]:
        """Rows that are dicts; a first pass determines the columns and types of all rows."""
        sheet = self._sheet_rows() if self.kind == "excel" else None
        kinds: dict[str, set[str]] = {}
        for row in self._json_rows(counts=True) if sheet is None else sheet:
            for name, cell in row.items():
                kinds.setdefault(name, set()).add(cell_kind(cell))
        types = {name: column_type(kind) for name, kind in kinds.items()}
        rows = iter(self._json_rows(counts=False) if sheet is None else sheet)
        while chunk := list(islice(rows, size)):
            columns = {name: pd.Series([row.get(name) for row in chunk], dtype=dtype) for name, dtype in types.items()}
            yield pd.DataFrame(columns, index=range(len(chunk)))

    def _json_rows(self, counts: bool) -> Iterator[dict[str, Any]]:
        with self._text_lines() as lines:
            yield from json_rows(lines, self._skip if counts else lambda *skipped: None)

    def _sheet_rows(self) -> list[dict[str, Any]]:
        cells, notes = read_sheet(self.source)
        header, *rows = cells or [[]]
        kept = [row for row in rows if row != header or len(header) < 2]
        if len(kept) < len(rows):
            notes.append(f"{self.source.name}: skipped {plural(len(rows) - len(kept), 'row')}: the header again")
        self.notes += notes
        names = column_names(["" if name is None else str(name) for name in header])
        return [dict(zip(names, row, strict=True)) for row in kept]

    def _arrow(self, size: int | None) -> Iterator[pd.DataFrame]:
        import pyarrow as pa

        nullable = {getattr(pa, f"{kind.lower()}{bits}")(): pd.array([], f"{kind}{bits}").dtype
                    for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)}  # fmt: skip
        nullable[pa.bool_()] = pd.BooleanDtype()
        parquet = self.kind == "parquet"
        if size is None:
            batches = [self.arrow.read() if parquet else self.arrow]
        else:
            batches = self.arrow.iter_batches(size) if parquet else self.arrow.to_batches(size)
        for batch in batches:
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
    (df,) = table.chunks()  # to the end of the file, where the notes are complete
    for note in table.notes:
        warnings.warn(note, stacklevel=2)
    if table.skipped:
        first = listed(table.skipped, SHOWN, "; ")
        warnings.warn(f"Skipped {plural(table.skipped_lines, 'line')} of {table.source.name}: {first}", stacklevel=2)
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
    except _UNREADABLE as err:
        raise ValueError(f"{table.source} cannot be read: {err}") from err
