"""Tables in and out of a label database: DataFrame → rows to label; labels → DataFrame or file."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kickbert.labeling.assessment import random_sample
from kickbert.labeling.classes import ClassList, add_classes, one_line, resolve
from kickbert.labeling.database import LabelDatabase, RowChanges, content_key
from kickbert.targets.label_cells import DELIMITER, label_lists, labeled_rows
from kickbert.text.columns import check_frame, read_texts
from kickbert.utils.atomic_files import replacing
from kickbert.utils.extras import require

TABLE = "table"  # strategy of labels that came with a table
COLUMNS = ("label", "who", "at", "seconds", "suggestion", "confidence", "shown", "strategy", "random", "note", "row")
ENDINGS = (".csv", ".parquet")


def check_table(df: pd.DataFrame, text_col: Sequence[str], label_col: str | None = None) -> None:
    """Check that a table can be labeled.

    Raises:
        ValueError: A column is missing, or has a name that the labels need.
    """
    check_frame(df, text_col=text_col)
    if label_col:
        check_frame(df, label_col=[label_col])
    taken = [column for column in text_col if column in COLUMNS]
    if taken:
        raise ValueError(f"text column {taken[0]!r} has the name of a column of the labels; rename it in the table")


def add_table(database: LabelDatabase, df: pd.DataFrame, label_col: str | None = None, name: str = TABLE) -> RowChanges:
    """Add the rows of a DataFrame. Rows of a table that changed are recognized by their content.

    Args:
        database: The database.
        df: DataFrame with the text columns of the database.
        label_col: Column of labels that some rows already have.
        name: Name of the table, saved as the person who gave these labels.
    Raises:
        ValueError: As `check_table`.
    """
    check_table(df, database.text_col, label_col)
    columns = [read_texts(df, column)[0] for column in database.text_col]
    texts = list(zip(*columns, strict=True))
    changes = database.add_rows(texts)
    database.set("source", name)
    if label_col:
        _add_known_labels(database, texts, df[label_col].reset_index(drop=True), name)
    return changes


def _add_known_labels(database: LabelDatabase, texts: list[tuple[str, ...]], values: pd.Series, name: str) -> None:
    filled = values[labeled_rows(values)]
    if database.kind.is_multilabel:
        lists = [[one_line(str(name)) for name in cell] for cell in label_lists(filled, DELIMITER)]
        labels = pd.Series(lists, filled.index, dtype=object)
    else:
        labels = filled.astype(str).map(one_line)
    add_classes(ClassList(database), sorted(set(labels.explode().dropna())))
    ids = {row.key: row.id for row in database.rows()}
    keys = {i: content_key(texts[i]) for i in labels.index}
    database.append_known({ids[keys[i]]: label for i, label in labels.items() if keys[i] in ids}, name, TABLE)


def read(file: str | Path, history: bool = False) -> pd.DataFrame:
    """Read labels as a DataFrame for `learner_from_df(df, text_col=df.attrs["text_col"])`.

    Args:
        file: Label database; it may be in use.
        history: Whether to return every label not undone, including earlier ones and those of other people.
    Returns:
        The text columns; `label` (a name, an ordered category on a scale, or a list of names); `who`; `at` (UTC);
        `seconds` of attention; `suggestion` and `confidence` of the model at that time, and whether it was `shown`;
        `strategy` that chose the row; `random`, whether it is in the random sample, on which accuracy is estimated
        without bias; `note`; `row`, the position in the table, missing if it is no longer there. Skipped rows are left
        out.
    Raises:
        ValueError: The file does not exist or is not a label database.
    """
    database = LabelDatabase(file)
    try:
        return labels_frame(database, history)
    finally:
        database.close()


def labels_frame(database: LabelDatabase, history: bool = False) -> pd.DataFrame:
    """Return what `read` returns, from an open database."""
    labels = [label for label in database.labels(history) if label.label is not None]
    every = database.labels(history=True)
    rows = {row.id: row for row in database.rows()}  # read last: another process may add rows and labels
    sample = random_sample(rows.values(), every)
    classes = ClassList(database)
    names = classes.current_names()
    records = []
    for label in labels:
        row = rows[label.row]
        suggestion = label.suggestion or {}
        values = {
            "label": resolve(label.label, names),
            "who": label.who,
            "at": label.at,
            "seconds": label.seconds,
            "suggestion": suggestion.get("label"),
            "confidence": suggestion.get("confidence"),
            "shown": label.shown,
            "strategy": label.strategy,
            "random": label.row in sample,
            "note": label.note,
            "row": row.position,
        }
        records.append(dict(zip(database.text_col, row.texts, strict=True)) | values)
    df = pd.DataFrame(records, columns=[*database.text_col, *COLUMNS])
    df["at"] = pd.to_datetime(df["at"], utc=True)
    df["row"] = df["row"].astype("Int64")
    df[["seconds", "confidence"]] = df[["seconds", "confidence"]].astype(float)
    if database.kind.is_ordered:
        df["label"] = pd.Categorical(df["label"], classes.names(), ordered=True).remove_unused_categories()
    df.attrs = {"text_col": database.text_col, "task": database.task}
    return df


def export_labels(file: str | Path, out: str | Path, history: bool = False) -> Path:
    """Write what `read` returns to a file, whole or not at all. A CSV file separates several labels by "|".

    Args:
        file: Label database.
        out: A .csv or .parquet file.
        history: As for `read`.
    """
    df = read(file, history)
    out = Path(out).expanduser()
    with replacing(out) as part:
        write_labels(df, part, out.suffix)
    return out


def write_labels(df: pd.DataFrame, file: Path, ending: str) -> None:
    """Write a DataFrame of labels in the format of an ending.

    Raises:
        ValueError: The ending is not .csv or .parquet.
    """
    if ending not in ENDINGS:
        raise ValueError(f"labels cannot be written as {ending!r}; choose one of {list(ENDINGS)}")
    if ending == ".parquet":
        require("pyarrow", extra="export")
        df.to_parquet(file, index=False)
        return
    for name in ("label", "suggestion"):
        # An empty cell would be a missing label, not the absence of all labels.
        joined = [DELIMITER.join(cell) or DELIMITER if isinstance(cell, list) else cell for cell in df[name]]
        df = df.assign(**{name: joined})
    df.to_csv(file, index=False)
