"""Batch prediction of files of any length: read piece by piece, predicted, written in the same order.

a table in a file → pieces → `predict_df` → the same rows with predictions beside them → a file, whole or none
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kickbert.data.tables.formats import WRITABLE, table_kind
from kickbert.data.tables.reading import TableFile
from kickbert.inference.table_writers import as_texts, table_writer
from kickbert.targets.kinds import MULTI, ORDINAL
from kickbert.targets.outputs import prediction_frame
from kickbert.utils.atomic_files import replacing
from kickbert.utils.progress import bar

if TYPE_CHECKING:
    import pyarrow as pa

PIECE = 10_000  # rows held at a time
SHOWN = 20  # of what is named in a report


@dataclass
class PredictedFile:
    """The outcome of `predict_file`.

    Args:
        out: the file of predictions.
        rows: its number of rows.
        without_text: number of rows without text, which have no prediction.
        first_without_text: the first of them, counted from 0.
        without_label: number of rows with a text that got no label: the model is less confident than `min_confidence`,
            or, of several labels, none reaches its threshold.
        skipped: lines that could not be read, and why.
        notes: how the file was read, where that was detected, and what else a user must know; a sentence each.
    """

    out: Path
    rows: int = 0
    without_text: int = 0
    first_without_text: list[int] = field(default_factory=list)
    without_label: int = 0
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def predict_file(
    model: Any,
    source: str | Path,
    out: str | Path,
    *,
    text_col: Sequence[str] | None = None,
    min_confidence: float | None = None,
    piece: int = PIECE,
    encoding: str | None = None,
    sep: str | None = None,
) -> PredictedFile:
    """Predict the rows of a file that may be larger than memory.

    Args:
        model: a predictor or a learner.
        source: a table with the text columns, of a kind that `TableFile` reads.
        out: the same columns with the predictions beside them, .csv, .tsv, .jsonl (also .gz), .parquet or .xlsx. A
            prediction whose name is taken is `predicted_<name>`; those that an earlier run wrote are replaced.
        text_col: the file's names of the text columns, in the model's order; None for the model's own.
        min_confidence: below which a row gets no label.
        piece: rows held at a time.
        encoding, sep: of the source, as for `TableFile`; None for what it looks like.
    Returns:
        How many rows there were, and those that got no prediction or could not be read.
    Raises:
        ValueError: a kind of file that is not known, a file without rows, or one that lacks a text column.
    """
    out = Path(out)
    table_kind(out, WRITABLE)
    table = TableFile(source, encoding, sep)
    names = text_names(model, text_col)
    done = PredictedFile(out, skipped=table.skipped, notes=table.notes)
    shown = bar(None, table.source.name, table.rows, " rows")
    with replacing(out) as part, shown, table_writer(part, out, table.schema) as write:
        for df in table.chunks(piece):
            lacking = [c for c in names if c not in df]
            if lacking:
                raise ValueError(f"{source} has no column {lacking[0]!r}; it has {list(df.columns)}")
            write(_predicted(model, df, names, min_confidence, done))
            shown.update(len(df))
    if model.target.task == ORDINAL:
        done.notes.append("the label is the median of the ordered classes, which may not be the likeliest one")
    return done


def text_names(model: Any, text_col: Sequence[str] | None) -> dict[str, str]:
    """The model's name of each text column, by the table's.

    Raises:
        ValueError: another number of columns than the model reads.
    """
    columns = list(model.text_col)
    names = dict(zip(text_col or columns, columns, strict=False))
    if len(names) != len(columns) or len(text_col or columns) != len(columns):
        raise ValueError(f"text_col={list(text_col or ())} must name {len(columns)} columns, for the model's {columns}")
    return names


def _predicted(
    model: Any, df: pd.DataFrame, names: dict[str, str], min_confidence: float | None, done: PredictedFile
) -> pd.DataFrame:
    """A piece with its predictions, counted."""
    predictions = flat_predictions(model, df[list(names)].rename(columns=names), min_confidence)
    empty = predictions.isna().all(axis=1).to_numpy()
    done.without_text += int(empty.sum())
    done.first_without_text += [done.rows + int(i) for i in empty.nonzero()[0]][: SHOWN - len(done.first_without_text)]
    done.without_label += count_without_label(predictions)
    done.rows += len(df)
    earlier, renamed = output_columns(list(df.columns), list(predictions.columns))
    if earlier and len(df) == done.rows:
        done.notes.append(f"columns of an earlier prediction were replaced: {', '.join(earlier)}")
    return pd.concat([df.drop(columns=earlier), predictions.rename(columns=renamed)], axis=1)


def flat_predictions(model: Any, df: pd.DataFrame, min_confidence: float | None = None) -> pd.DataFrame:
    """Predict rows as a file holds them: several labels joined by "|", rows without text not warned of.

    Args:
        model: a predictor or a learner.
        df: the text columns, by the model's names.
        min_confidence: below which a row gets no label.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*have no text")
        predictions = model.predict_df(df, min_confidence=min_confidence)
    if model.target.task == MULTI:
        labels = [None if row is None else "|".join(map(str, row)) for row in predictions["labels"]]
        predictions["labels"] = pd.Series(labels, index=predictions.index, dtype=object)
    return predictions


def count_without_label(predictions: pd.DataFrame) -> int:
    """Count rows that have a prediction and no label: it is not confident enough, or no label reaches its threshold.

    >>> count_without_label(pd.DataFrame({"label": ["a", None, None], "confidence": [0.9, 0.4, None]}))
    1
    """
    decision = predictions.iloc[:, 0]
    return int((decision.isna() | (decision == "")).sum() - predictions.isna().all(axis=1).sum())


def output_columns(columns: list[str], predicted: list[str]) -> tuple[list[str], dict[str, str]]:
    """Which columns an earlier run of the same model wrote, and the name of each prediction beside the others.

    All probabilities are there after an earlier run; the decision then is `predicted_<name>`, or else `<name>`.

    Args:
        columns: of the file.
        predicted: of the predictions, the decision first.

    >>> output_columns(["text", "label"], ["label", "prob_a"])
    ([], {'label': 'predicted_label', 'prob_a': 'prob_a'})
    >>> output_columns(["text", "label", "predicted_label", "prob_a"], ["label", "prob_a"])
    (['predicted_label', 'prob_a'], {'label': 'predicted_label', 'prob_a': 'prob_a'})
    """
    decision, *others = predicted
    earlier: list[str] = []
    if others and set(others) <= set(columns):
        earlier = [name for name in (f"predicted_{decision}", decision) if name in columns][:1] + others
    taken, renamed = set(columns) - set(earlier), {}
    for name in predicted:
        free = chain([name, f"predicted_{name}"], (f"predicted_{name}_{i}" for i in count(2)))
        renamed[name] = next(other for other in free if other not in taken)
        taken.add(renamed[name])
    return earlier, renamed


def as_arrow(predictions: pd.DataFrame, schema: Any = None) -> "pa.Table":
    """Predictions as a table of Arrow; columns of mixed types are text.

    Args:
        schema: of pyarrow; None for what the columns look like.
    """
    import pyarrow as pa

    if schema is None:
        names = [name for name in predictions.columns if predictions[name].dtype == object]
    else:
        names = [column.name for column in schema if column.type == pa.string()]
    texts = predictions.assign(**{name: as_texts(predictions[name]) for name in names})
    return pa.Table.from_pandas(texts, schema, preserve_index=False)


def prediction_schema(model: Any, min_confidence: float | None = None) -> "pa.Schema":
    """Names and types of `flat_predictions` in Arrow, whatever the rows.

    Args:
        model: a predictor or a learner.
        min_confidence: below which a row gets no label.
    Raises:
        ValueError: a least confidence where there is none, of several labels or numbers.
    """
    import pyarrow as pa

    probs = np.eye(len(model.target.names), dtype=np.float32)  # a row of each class
    index, nothing = pd.RangeIndex(len(probs)), np.zeros(len(probs), dtype=bool)
    predictions = prediction_frame(model.target, probs, model.decide(probs), index, nothing, min_confidence)
    texts = (pa.large_string(), pa.null())
    schema = as_arrow(predictions).schema
    return pa.schema([pa.field(c.name, pa.string() if c.type in texts else c.type) for c in schema])
