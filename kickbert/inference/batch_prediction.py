"""Files of any length to files of predictions: read piece by piece, answered, written in the same order.

CSV, Parquet or JSON lines → pieces → `predict_df` → the same rows with answers beside them → a file, whole or none
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from kickbert.data.table_files import _kind, _pieces, _rows, _writer
from kickbert.targets.kinds import MULTI
from kickbert.utils.atomic_files import replacing

PIECE = 10_000  # rows held at a time
SHOWN = 20  # of what is named in a report


@dataclass
class PredictedFile:
    """What became of a file.

    Args:
        out: the file of predictions.
        rows: how many it has.
        without_text: of these, rows that have no text and so no answer; the first of them are named, from 0 on.
        skipped: lines that could not be read, and why.
    """

    out: Path
    rows: int = 0
    without_text: int = 0
    first_without_text: list[int] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def predict_file(
    model: Any,
    source: str | Path,
    out: str | Path,
    *,
    text_col: Sequence[str] | None = None,
    min_confidence: float | None = None,
    piece: int = PIECE,
) -> PredictedFile:
    """Predict the rows of a file that may be larger than memory.

    Args:
        model: a predictor or a learner.
        source: .csv, .tsv, .jsonl (also .gz) or .parquet, with the text columns.
        out: the same columns with the predictions beside them; of a prediction whose name is taken it is
            `predicted_<name>`. Its ending says how it is written.
        text_col: the file's names of the text columns, in the model's order; None for the model's own.
        min_confidence: below which a row gets no label.
        piece: rows held at a time.
    Returns:
        How many rows there were, and those that got no answer or could not be read.
    Raises:
        ValueError: a kind of file that is not known, a file without rows, or one that lacks a text column.
    """
    source, out = Path(source), Path(out)
    if not source.is_file():
        raise ValueError(f"{source} is no file here")
    _kind(out)
    columns = list(model.text_col)
    names = dict(zip(text_col or columns, columns, strict=True))
    done = PredictedFile(out)
    with replacing(out) as part, _bar(source) as advance, _writer(part, out) as write:
        for df in _pieces(source, piece, done.skipped):
            lacking = [c for c in names if c not in df]
            if lacking:
                raise ValueError(f"{source} has no column {lacking[0]!r}; it has {list(df.columns)}")
            write(_answered(model, df, names, min_confidence, done))
            advance(len(df))
        if not done.rows:
            raise ValueError(f"{source} has no rows")
    return done


def _answered(
    model: Any, df: pd.DataFrame, names: dict[str, str], min_confidence: float | None, done: PredictedFile
) -> pd.DataFrame:
    """A piece with its predictions, counted."""
    texts = df[list(names)].rename(columns=names)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*have no text")
        found = model.predict_df(texts, min_confidence=min_confidence)
    empty = found.isna().all(axis=1).to_numpy()
    done.without_text += int(empty.sum())
    done.first_without_text += [done.rows + int(i) for i in empty.nonzero()[0]][: SHOWN - len(done.first_without_text)]
    done.rows += len(df)
    if model.target.task == MULTI:
        found["labels"] = [None if row is None else "|".join(map(str, row)) for row in found["labels"]]
    return pd.concat([df, found.rename(columns={c: f"predicted_{c}" for c in found if c in df})], axis=1)


@contextmanager
def _bar(source: Path) -> Iterator[Any]:
    """A function to tell of rows that are done: a bar in a terminal, nothing in a log."""
    if not sys.stderr.isatty():
        yield lambda rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    total = _rows(source)
    shown = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeElapsedColumn(),
    )
    with Progress(*shown, console=Console(stderr=True)) as progress:
        task = progress.add_task(source.name, total=total)
        yield lambda rows: progress.advance(task, rows)
