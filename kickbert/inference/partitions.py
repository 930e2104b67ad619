"""A partition of a table: a span of rows, predicted, and written with an account of them, whole or not at all.

Parquet file → pieces → `predict_df` → the same rows with predictions beside them → Parquet file

Whatever schedules partitions calls `predict_partition`, in any process, in any order, again after a kill. A piece that
cannot be predicted is halved until the row is found: one that raises an error, or one in which the process dies.
"""

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kickbert.inference.batch_prediction import as_arrow, count_without_label, flat_predictions
from kickbert.inference.predictor import Predictor, reopen
from kickbert.utils.atomic_files import replacing
from kickbert.utils.hashing import digest
from kickbert.utils.messages import shorten

if TYPE_CHECKING:
    import pyarrow as pa

FILE, ROW = "source_file", "source_row"  # columns that say where a row comes from
ACCOUNT = b"kickbert"  # key of the account in a file's metadata
TRAILS = "_trails"  # names that begin with "_" are no part of a table (Spark, Dask, pyarrow)
SHOWN = 20  # rows that an account names of those without text
MOST_FAILED = 1_000  # rows of a partition: with more it is no row's fault
DEATHS = 2  # in a span until it is halved: one may have come from outside
MOST_DEATHS = 64  # in a partition: twice what finding a row among 10,000 takes


@dataclass(frozen=True)
class Partition:
    """A span of rows of a file.

    Args:
        file: its path from the table's folder.
        start, stop: rows, from 0, without the last.
        stamp: the file's size in bytes and time of change in ns.
    """

    file: str
    start: int
    stop: int
    stamp: tuple[int, int]

    @property
    def name(self) -> str:
        """The path of its predictions from their folder, the same as long as file and span are."""
        return f"{self.file.removesuffix('.parquet')}-{self.start:012}.parquet"

    def __str__(self) -> str:
        return f"rows {self.start:,} to {self.stop - 1:,} of {self.file}"


@dataclass(frozen=True)
class Work:
    """What all partitions of a table have in common.

    Args:
        source: the table's folder.
        out: the folder of the predictions.
        opening: of the predictor, arguments of `reopen`.
        texts: the model's name of each text column, by the table's.
        kept: columns of the table that are written too, with their types.
        added: columns that are added, with their types: where a row comes from, predictions.
        min_confidence: below which a row gets no label.
        piece: rows held at a time.
    """

    source: Path
    out: Path
    opening: tuple
    texts: dict[str, str]
    kept: "pa.Schema"
    added: "pa.Schema"
    min_confidence: float | None
    piece: int


@dataclass
class Account:
    """What became of the rows of a partition; rows are numbered as in their file.

    Args:
        rows: their number.
        without_text: number of rows without text, which have no prediction.
        first_without_text: the first of them.
        without_label: number of rows with a text that got no label.
        failed: rows that could not be predicted, and why.
    """

    rows: int = 0
    without_text: int = 0
    first_without_text: list[int] = field(default_factory=list)
    without_label: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Outcome:
    """What became of a partition: it is written, or there is an error."""

    partition: Partition
    error: Exception | None = None


def predict_partition(work: Work, part: Partition) -> Outcome:
    """Predict a partition and write it.

    Returns:
        The outcome; an error is in it rather than raised, for each engine would wrap it in its own way.
    """
    trail = _Trail(work.out / TRAILS / digest(part.name))
    try:
        if len(trail.deaths) >= MOST_DEATHS:
            raise RuntimeError(f"the process died {MOST_DEATHS} times, the last time at {trail.deaths[-1]}")
        with trail.at("opening the model"):
            model = reopen(*work.opening)
        _write(work, part, model, trail)
        trail.file.unlink(missing_ok=True)
        return Outcome(part)
    except Exception as err:
        return Outcome(part, _sendable(err))


def read_account(file: Path) -> Account:
    """The account of a partition that was written."""
    from pyarrow.parquet import read_metadata

    return Account(**json.loads(read_metadata(file).metadata[ACCOUNT]))


def _sendable(err: Exception) -> Exception:
    """An error that reaches another process as it is, or what it says."""
    try:
        pickle.loads(pickle.dumps(err))
        return err
    except Exception:  # whatever the error of a library may raise
        return RuntimeError(f"{type(err).__name__}: {err}")


def _write(work: Work, part: Partition, model: Predictor, trail: "_Trail") -> None:
    """Read, predict and write a partition, a piece at a time."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    rows = _Rows(work, part, model, trail)
    schema = pa.schema([*work.kept, *work.added])
    with replacing(work.out / part.name) as file:
        with ParquetWriter(file, schema) as writer:
            for piece in _pieces(work, part):
                columns = [*_kept(work.kept, piece), *rows.predicted(piece)]
                writer.write_table(pa.table(columns, schema=schema))
            writer.add_key_value_metadata({ACCOUNT: json.dumps(asdict(rows.account))})
        stat = (work.source / part.file).stat()
        if (stat.st_size, stat.st_mtime_ns) != part.stamp:
            raise ValueError(f"{part.file} was changed while it was predicted; run it again")


def _pieces(work: Work, part: Partition) -> Iterator["pa.Table"]:
    """The rows of a partition, with the columns that are needed."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    with ParquetFile(work.source / part.file) as file:
        groups, at, first = [], 0, 0
        for i in range(file.num_row_groups):
            end = at + file.metadata.row_group(i).num_rows
            if at < part.stop and end > part.start:
                first = first if groups else at
                groups.append(i)
            at = end
        wanted = {*work.kept.names, *work.texts}
        columns = [name for name in file.schema_arrow.names if name in wanted]
        at = first
        for batch in file.iter_batches(work.piece, row_groups=groups, columns=columns):
            start, stop = max(part.start - at, 0), min(part.stop - at, len(batch))
            at += len(batch)
            if start < stop:
                yield pa.Table.from_batches([batch.slice(start, stop - start)])
            if at >= part.stop:
                return


def _kept(schema: "pa.Schema", piece: "pa.Table") -> list:
    """Columns of a piece in the types that they have in the whole table, empty where this file has none."""
    import pyarrow as pa

    names = set(piece.column_names)
    return [
        piece[column.name].cast(column.type) if column.name in names else pa.nulls(len(piece), column.type)
        for column in schema
    ]


class _Rows:
    """The rows of a partition while they are predicted, counted."""

    def __init__(self, work: Work, part: Partition, model: Predictor, trail: "_Trail"):
        self.work, self.part, self.model, self.trail = work, part, model, trail
        self.account = Account()

    def predicted(self, piece: "pa.Table") -> list:
        """The columns that are added to a piece: where each row comes from, unless the table says so, predictions."""
        import pyarrow as pa

        start = self.part.start + self.account.rows
        self.account.rows += len(piece)
        origin = {FILE: [self.part.file] * len(piece), ROW: range(start, start + len(piece))}
        columns = [pa.array(cells, self.work.added.field(name).type) for name, cells in origin.items()
                   if name in self.work.added.names]  # fmt: skip
        return [*columns, *pa.concat_tables(self._predictions(piece, start)).columns]

    def _predictions(self, piece: "pa.Table", start: int) -> list["pa.Table"]:
        import pyarrow as pa

        span = f"rows {start} to {start + len(piece) - 1}"
        reason = "the process died"
        if self.trail.deaths.count(span) < DEATHS:
            try:
                with self.trail.at(span):
                    return [self._predict(piece, start)]
            except Exception as err:  # of whatever cleans, tokenises or computes
                reason = f"{type(err).__name__}: {shorten(err, 200)}"
        if len(piece) > 1:
            half = len(piece) // 2
            return [*self._predictions(piece[:half], start), *self._predictions(piece[half:], start + half)]
        self.account.failed.append((start, reason))
        if len(self.account.failed) > MOST_FAILED:
            raise RuntimeError(f"more than {MOST_FAILED:,} rows cannot be predicted, the last of them: {reason}")
        return [pa.Table.from_pylist([{}], schema=self._schema)]

    @property
    def _schema(self) -> "pa.Schema":
        import pyarrow as pa

        return pa.schema([column for column in self.work.added if column.name not in (FILE, ROW)])

    def _predict(self, piece: "pa.Table", start: int) -> "pa.Table":
        # As Python's own objects, so that whole numbers beside missing ones stay whole.
        cells = {name: pd.Series(piece[column].to_pylist(), dtype=object) for column, name in self.work.texts.items()}
        predictions = flat_predictions(self.model, pd.DataFrame(cells), self.work.min_confidence)
        empty = predictions.isna().all(axis=1).to_numpy().nonzero()[0]
        predictions.columns = self._schema.names
        table = as_arrow(predictions, self._schema)
        self.account.without_text += len(empty)
        self.account.without_label += count_without_label(predictions)
        named = self.account.first_without_text
        named += [start + int(i) for i in empty[: SHOWN - len(named)]]
        return table


class _Trail:
    """What processes were at when they died, in a file that the next one reads."""

    def __init__(self, file: Path):
        self.file = file
        self.deaths = file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    @contextmanager
    def at(self, step: str) -> Iterator[None]:
        """Note a step while it lasts: the note stays if the process dies in it."""
        self._write([*self.deaths, step])
        try:
            yield
        finally:
            self._write(self.deaths)

    def _write(self, steps: list[str]) -> None:
        self.file.write_text("\n".join(steps), encoding="utf-8")
