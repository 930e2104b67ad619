"""Prediction of files of any size, a chunk of rows at a time.

table in a file → chunks → `predict_df` → the same rows with predictions → output file, written atomically
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import pandas as pd

from kickbert.data.tables.formats import WRITABLE, table_kind
from kickbert.data.tables.reading import TableFile
from kickbert.data.tables.writing import table_writer
from kickbert.models.protocol import TextModel
from kickbert.tabular.column_model import names_beside
from kickbert.targets.base import PREDICTED
from kickbert.targets.label_cells import DELIMITER
from kickbert.utils.atomic_files import replacing
from kickbert.utils.messages import nearest, shorten
from kickbert.utils.progress import bar

CHUNK = 10_000  # rows in memory at a time
MAX_LISTED = 20  # rows listed in a report
MAX_FAILED = 1_000  # rows per chunk; with more, the model is at fault and not the rows


@dataclass
class PredictedFile:
    """The result of `predict_file`; rows are numbered from 0.

    Args:
        out: output file.
        rows: number of rows.
        without_text: number of rows without text, which have no prediction.
        first_without_text: the first of them.
        without_label: number of rows that have text and got no label: the confidence is below `min_confidence`, or none
            of several labels reaches its threshold.
        failed: number of rows that raised an error and have no prediction.
        first_failed: the first of them, each with its error.
        skipped: rows that could not be read, each with its lines and the reason.
        skipped_lines: number of their lines.
        notes: detected encoding or separator, and other notes for the user; one sentence each.
    """

    out: Path
    rows: int = 0
    without_text: int = 0
    first_without_text: list[int] = field(default_factory=list)
    without_label: int = 0
    failed: int = 0
    first_failed: list[tuple[int, str]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    skipped_lines: int = 0
    notes: list[str] = field(default_factory=list)


def predict_file(
    model: TextModel,
    source: str | Path,
    out: str | Path,
    *,
    text_col: Sequence[str] | None = None,
    keep: Sequence[str] | None = None,
    min_confidence: float | None = None,
    skip_errors: bool = False,
    chunk_rows: int = CHUNK,
    encoding: str | None = None,
    sep: str | None = None,
) -> PredictedFile:
    """Predict every row of a file that may be larger than memory.

    Args:
        model: a predictor or a learner.
        source: a table in a format that `TableFile` reads.
        out: output file: .csv, .tsv, .jsonl (also compressed, as .gz), .parquet or .xlsx. It has the columns of the
            source and the predictions. The predicted label is always `predicted_label`; another column is called
            `predicted_<name>` if its name is taken. Columns that an earlier run of the model wrote are replaced.
        text_col: names of the text columns in the file, in the model's order; None for the model's own names.
        keep: columns to copy to the output; None for all.
        min_confidence: confidence below which a row gets no label.
        skip_errors: whether to report a row that raises an error, without a prediction, instead of ending the run.
        chunk_rows: number of rows in memory at a time.
        encoding, sep: encoding and separator of the source, as for `TableFile`; None to detect them.
    Returns:
        Number of rows, and of rows without a prediction and lines that could not be read.
    Raises:
        ValueError: the format is unknown, the file has no rows, a column does not exist, or there is another column
            `predicted_label`.
    """
    source = Path(source).expanduser()
    out = Path(out).expanduser()
    table_kind(out, WRITABLE)
    if source.exists() and out.exists() and out.samefile(source):
        raise ValueError(f"{out} is the file to predict, and would be overwritten. Give another name for the output")
    texts = text_names(model, text_col)
    read = names_beside(model.columns)
    needed = needed_columns(model)
    table = TableFile(source, encoding, sep)
    done = PredictedFile(out, skipped=table.skipped, notes=table.notes)
    types = [column for column in table.schema or () if keep is None or column.name in keep]
    progress = bar(None, source.name, table.rows, " rows")
    with replacing(out) as part, progress, table_writer(part, out, types) as write:
        for df in table.chunks(chunk_rows):
            check_columns(source.name, list(df.columns), [*texts, *(keep or ()), *needed])
            beside = df[[column for column in df if str(column) in read and column not in texts]]
            cells = pd.concat([df[list(texts)].rename(columns=texts), beside], axis=1)
            predictions = _counted(done, *_predicted(model, cells, min_confidence, skip_errors))
            write(_side_by_side(df if keep is None else df[list(keep)], predictions, done))
            progress.update(len(df))
    done.skipped_lines = table.skipped_lines
    if model.target.is_multilabel and (odd := next(filter(_unreadable, model.target.names), None)) is not None:
        done.notes.append(
            f"label {odd!r} cannot be told apart in a list separated by {DELIMITER!r}; read the probabilities"
        )
    if model.target.is_ordered:
        done.notes.append("the label is the median of the ordered classes, which may not be the most likely one")
    return done


def _unreadable(name: str) -> bool:
    """Whether a label would be read differently from a cell of several labels with `DELIMITER` between them."""
    return DELIMITER in name or name.strip() != name or not name


def needed_columns(model: TextModel) -> list[str]:
    """List the columns beside the text that a file must have."""
    return [] if model.columns is None else model.columns.needed


def text_names(model: TextModel, text_col: Sequence[str] | None) -> dict[str, str]:
    """Map the names of the text columns in the file to the model's names.

    Raises:
        ValueError: the model reads a different number of columns.
    """
    columns = list(model.text_col)
    named = columns if text_col is None else list(text_col)
    if len(named) != len(columns) or len(set(named)) != len(named):
        raise ValueError(f"text_col={named} must name {len(columns)} different columns, for the model's {columns}")
    return dict(zip(named, columns, strict=True))


def check_columns(file: str, columns: Sequence[str], needed: Sequence[str]) -> None:
    """Check that a file has the required columns.

    Raises:
        ValueError: a column does not exist.
    """
    missing = [name for name in needed if name not in columns]
    if missing:
        hint = nearest(missing[0], columns)
        raise ValueError(f"{file} has no column {missing[0]!r}. Columns: {list(columns)}{hint}")


def _predicted(
    model: TextModel, cells: pd.DataFrame, min_confidence: float | None, skip_errors: bool
) -> tuple[pd.DataFrame, dict[int, str]]:
    """Predict a chunk; also return the rows that raise errors, by position."""
    try:
        return flat_predictions(model, cells, min_confidence), {}
    except Exception:  # raised by any step of cleaning, tokenizing or computing
        if not skip_errors:
            raise
    failing = failing_rows(model, cells)
    cells = cells.astype(object)
    cells.iloc[list(failing)] = None
    return flat_predictions(model, cells, min_confidence), failing


def failing_rows(model: TextModel, cells: pd.DataFrame) -> dict[int, str]:
    """Find the rows that raise errors, by repeated halving.

    Returns:
        The error of each row, by position.
    Raises:
        RuntimeError: more than `MAX_FAILED` rows raise errors.
    """
    failing: dict[int, str] = {}
    spans = [(0, len(cells))]
    while spans:
        start, stop = spans.pop()
        try:
            flat_predictions(model, cells.iloc[start:stop])
        except Exception as err:
            if stop - start > 1:
                middle = (start + stop) // 2
                spans += [(middle, stop), (start, middle)]
                continue
            failing[start] = f"{type(err).__name__}: {shorten(str(err), 200)}"
            if len(failing) > MAX_FAILED:
                raise RuntimeError(
                    f"more than {MAX_FAILED:,} rows raise errors; the last one: {failing[start]}"
                ) from err
    return failing


def flat_predictions(model: TextModel, df: pd.DataFrame, min_confidence: float | None = None) -> pd.DataFrame:
    """Predict rows for a file: several labels are joined by "|", and rows without text cause no warning.

    Args:
        model: a predictor or a learner.
        df: the text columns, by the model's names.
        min_confidence: confidence below which a row gets no label.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*without text")
        predictions = model.predict_df(df, min_confidence=min_confidence)
    if model.target.is_multilabel:
        labels = [None if row is None else DELIMITER.join(map(str, row)) for row in predictions[PREDICTED]]
        predictions[PREDICTED] = pd.Series(labels, index=predictions.index, dtype=object)
    return predictions


def _counted(done: PredictedFile, predictions: pd.DataFrame, failing: dict[int, str]) -> pd.DataFrame:
    """Add the rows of a chunk to the report."""
    empty = [int(i) for i in predictions.isna().all(axis=1).to_numpy().nonzero()[0] if i not in failing]
    done.without_text += len(empty)
    done.first_without_text += [done.rows + i for i in empty][: MAX_LISTED - len(done.first_without_text)]
    done.without_label += count_without_label(predictions)
    done.failed += len(failing)
    listed = [(done.rows + i, reason) for i, reason in failing.items()]
    done.first_failed += listed[: MAX_LISTED - len(done.first_failed)]
    done.rows += len(predictions)
    return predictions


def count_without_label(predictions: pd.DataFrame) -> int:
    """Count rows that have a prediction and no label.

    >>> count_without_label(pd.DataFrame({"predicted_label": ["a", None, None], "confidence": [0.9, 0.4, None]}))
    1
    """
    decision = predictions.iloc[:, 0]
    return int((decision.isna() | (decision == "")).sum() - predictions.isna().all(axis=1).sum())


def _side_by_side(df: pd.DataFrame, predictions: pd.DataFrame, done: PredictedFile) -> pd.DataFrame:
    """Combine the columns of a chunk and its predictions, under unused names."""
    earlier, renamed = output_columns(list(df.columns), list(predictions.columns))
    if earlier and len(df) == done.rows:  # the first chunk
        done.notes.append(f"columns of an earlier prediction were replaced: {', '.join(earlier)}")
    return pd.concat([df.drop(columns=earlier), predictions.rename(columns=renamed)], axis=1)


def output_columns(columns: list[str], predicted: list[str]) -> tuple[list[str], dict[str, str]]:
    """Find the columns that an earlier run of the same model wrote, and an unused name for each prediction.

    The predicted label is always `predicted_label`; another name that is taken gets the prefix `predicted_`.

    Args:
        columns: columns of the file.
        predicted: columns of the predictions, `predicted_label` first.
    Raises:
        ValueError: the file has a column `predicted_label` that this model did not write.

    >>> output_columns(["text", "confidence"], ["predicted_label", "confidence"])[1]["confidence"]
    'predicted_confidence'
    >>> output_columns(["text", "predicted_label", "prob_a"], ["predicted_label", "prob_a"])[0]
    ['predicted_label', 'prob_a']
    """
    earlier = predicted if len(predicted) > 1 and set(predicted) <= set(columns) else []
    taken = set(columns) - set(earlier)
    if PREDICTED in taken:
        raise ValueError(
            f"the file has a column {PREDICTED!r}, the name of the predictions, from something other than this model; "
            "rename it, or leave it out: keep= (--keep) names the columns to copy"
        )
    renamed: dict[str, str] = {}
    for name in predicted:
        free = chain([name, f"predicted_{name}"], (f"predicted_{name}_{i}" for i in count(2)))
        renamed[name] = next(other for other in free if other not in taken)
        taken.add(renamed[name])
    return list(earlier), renamed
