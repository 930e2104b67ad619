"""Tables in files: read whole or piece by piece, and written piece by piece; CSV, JSON lines, Parquet."""

import gzip
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from kickbert.utils.extras import require

CSV, PARQUET, LINES = (".csv", ".tsv", ".csv.gz", ".tsv.gz"), (".parquet",), (".jsonl", ".jsonl.gz")


def _kind(path: Path) -> str:
    """How a file is written, by its ending."""
    for kind, endings in (("csv", CSV), ("parquet", PARQUET), ("lines", LINES)):
        if path.name.lower().endswith(endings):
            return kind
    raise ValueError(f"{path} ends in {path.suffix!r}; known are {[*CSV, *PARQUET, *LINES]}")


def _separator(path: Path) -> str:
    return "\t" if ".tsv" in path.name.lower() else ","


def _pieces(source: Path, piece: int, skipped: list[str]) -> Iterator[pd.DataFrame]:
    """The rows of a file, some at a time; cells are strings, and empty ones missing."""
    kind = _kind(source)
    if kind == "parquet":
        require("pyarrow", extra="export")
        from pyarrow.parquet import ParquetFile

        yield from (batch.to_pandas() for batch in ParquetFile(source).iter_batches(piece))
        return
    try:
        if kind == "lines":
            yield from pd.read_json(source, lines=True, chunksize=piece, dtype=False)
            return
        how = {"dtype": str, "keep_default_na": False, "na_values": [""], "encoding_errors": "replace"}
        with pd.read_csv(source, sep=_separator(source), chunksize=piece, on_bad_lines="warn", **how) as reader:
            pieces = iter(reader)
            while True:
                with warnings.catch_warnings(record=True) as told:
                    warnings.simplefilter("always", pd.errors.ParserWarning)
                    df = next(pieces, None)
                skipped += [line for w in told for line in str(w.message).strip().splitlines()]
                if df is None:
                    return
                yield df
    except (pd.errors.EmptyDataError, pd.errors.ParserError, ValueError) as err:
        raise ValueError(f"{source} cannot be read: {err}") from err


def read_rows(source: str | Path) -> pd.DataFrame:
    """A whole file as a DataFrame, its numbers as numbers: to train on, to judge by.

    Raises:
        ValueError: no file, a kind that is not known, or one that cannot be read.
    """
    source = Path(source)
    if not source.is_file():
        raise ValueError(f"{source} is no file here")
    kind = _kind(source)
    try:
        if kind == "parquet":
            require("pyarrow", extra="export")
            return pd.read_parquet(source)
        if kind == "lines":
            return pd.read_json(source, lines=True)
        return pd.read_csv(source, sep=_separator(source), encoding_errors="replace")
    except (pd.errors.EmptyDataError, pd.errors.ParserError, ValueError, OSError) as err:
        raise ValueError(f"{source} cannot be read: {err}") from err


@contextmanager
def _writer(part: Path, out: Path) -> Iterator[Any]:
    """A function that writes a piece; `out` says how, `part` where."""
    kind = _kind(out)
    if kind == "parquet":
        require("pyarrow", extra="export")
        with _ParquetWriter(part) as write:
            yield write
        return
    opener = gzip.open if out.suffix.lower() == ".gz" else open
    with opener(part, "wt", encoding="utf-8", newline="") as file:
        header = [True]

        def write(df: pd.DataFrame) -> None:
            if kind == "lines":
                df.to_json(file, orient="records", lines=True, force_ascii=False)
            else:
                df.to_csv(file, index=False, header=header.pop() if header else False, sep=_separator(out))

        yield write


class _ParquetWriter:
    """Writes pieces of one schema: that of the first, where a column that it leaves empty is text."""

    def __init__(self, part: Path):
        self.part, self.writer = part, None

    def __enter__(self) -> "_ParquetWriter":
        return self

    def __call__(self, df: pd.DataFrame) -> None:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        if self.writer is None:
            schema = pa.Schema.from_pandas(df, preserve_index=False)
            fields = [pa.field(f.name, pa.string()) if pa.types.is_null(f.type) else f for f in schema]
            self.writer = ParquetWriter(self.part, pa.schema(fields))
        self.writer.write_table(pa.Table.from_pandas(df, schema=self.writer.schema, preserve_index=False))

    def __exit__(self, *how: object) -> None:
        if self.writer is not None:
            self.writer.close()


def _rows(source: Path) -> int | None:
    """How many rows a file has, where that is cheap to tell."""
    if _kind(source) != "parquet":
        return None
    from pyarrow.parquet import ParquetFile

    return ParquetFile(source).metadata.num_rows
