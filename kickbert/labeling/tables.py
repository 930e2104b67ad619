"""Tables in and out of a label database: a DataFrame of texts → rows to label; labels → a DataFrame, a file."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kickbert.labeling.assessment import random_sample
from kickbert.labeling.classes import DELIMITER, ClassList, add_classes, resolve
from kickbert.labeling.database import LabelDatabase, RowChanges, content_key
from kickbert.targets.kinds import MULTI, ORDINAL
from kickbert.targets.multilabel import label_lists
from kickbert.text.columns import check_frame, read_texts
from kickbert.utils.atomic_files import replacing
from kickbert.utils.extras import require

TABLE = "table"  # the strategy of labels that a table came with
COLUMNS = ("label", "who", "at", "seconds", "suggestion", "confidence", "shown", "strategy", "random", "note", "row")
ENDINGS = (".csv", ".parquet")


def check_table(df: pd.DataFrame, text_col: Sequence[str], label_col: str | None = None) -> None:
    """Check that a table can be labelled.

    Raises:
        ValueError: a column that is not there, or one whose name the labels need.
    """
    check_frame(df, text_col=text_col, **({"label_col": [label_col]} if label_col else {}))
    taken = [column for column in text_col if column in COLUMNS]
    if taken:
        raise ValueError(f"text column {taken[0]!r} has a name that labels are read under; rename it in the table")


def add_table(database: LabelDatabase, df: pd.DataFrame, label_col: str | None = None, name: str = TABLE) -> RowChanges:
    """Add the rows of a DataFrame to be labelled; those of a table that changed are found again by their content.

    Args:
        df: with the text columns of the database.
        label_col: of labels that some rows have already.
        name: of the table, which is said to have given these labels.
    Raises:
        ValueError: as `check_table`.
    """
    check_table(df, database.text_col, label_col)
    columns = [read_texts(df, column)[0] for column in database.text_col]
    texts = list(zip(*columns, strict=True))
    changes = database.add_rows(texts)
    database.set("source", name)
    if label_col:
        _add_known(database, texts, df[label_col].reset_index(drop=True), name)
    return changes


def _add_known(database: LabelDatabase, texts: list[tuple[str, ...]], values: pd.Series, name: str) -> None:
    filled, classes = values.dropna(), ClassList(database)
    if database.task == MULTI:
        labels = pd.Series(
            [list(map(str, cell)) for cell in label_lists(filled, DELIMITER)], filled.index, dtype=object
        )
    else:
        labels = filled.astype(str).str.strip()
    ids = {row.key: row.id for row in database.rows()}
    add_classes(classes, sorted(set(labels.explode().dropna())))
    known = {ids[key]: label for i, label in labels.items() if (key := content_key(texts[i])) in ids}
    database.append_known(known, name, TABLE)


def read(file: str | Path, history: bool = False) -> pd.DataFrame:
    """Labels as a DataFrame that `learner_from_df(df, text_col=df.attrs["text_col"])` trains on.

    Args:
        file: that `kickbert label` wrote; it may be in use.
        history: all labels that were not undone, a row's earlier ones and other people's too, not the present ones.
    Returns:
        The text columns; `label`: a name, in a scale an ordered category, of several labels a list; `who`, `at`
        (UTC), `seconds` of attention; `suggestion`, `confidence` of the model then, and whether it was `shown`;
        `strategy` that chose the row, and whether it is of the `random` sample, on which accuracy is estimated without
        bias; `note`; `row`, the position in the table, missing if it is not there any more. Skipped rows are left out.
    Raises:
        ValueError: no such file, or no label database.
    """
    database = LabelDatabase(file)
    try:
        return labels_frame(database, history)
    finally:
        database.close()


def labels_frame(database: LabelDatabase, history: bool = False) -> pd.DataFrame:
    """As `read`, of a database that is open."""
    given = [label for label in database.labels(history) if label.label is not None]
    every = database.labels(history=True)
    rows = {row.id: row for row in database.rows()}  # read last: another process may add rows and labels
    sample, (names, classes) = random_sample(rows.values(), every), _classes(database)
    records = [
        (
            *rows[label.row].texts, resolve(label.label, names), label.who, label.at, label.seconds,
            *((label.suggestion or {}).get(name) for name in ("label", "confidence")),
            label.shown, label.strategy, label.row in sample, label.note, rows[label.row].position,
        )
        for label in given
    ]  # fmt: skip
    df = pd.DataFrame(records, columns=[*database.text_col, *COLUMNS])
    df["at"], df["row"] = pd.to_datetime(df["at"], utc=True), df["row"].astype("Int64")
    df[["seconds", "confidence"]] = df[["seconds", "confidence"]].astype(float)
    if database.task == ORDINAL:
        df["label"] = pd.Categorical(df["label"], classes, ordered=True).remove_unused_categories()
    df.attrs = {"text_col": database.text_col, "task": database.task}
    return df


def _classes(database: LabelDatabase) -> tuple[dict[str, str], list[str]]:
    classes = ClassList(database)
    return classes.present_names(), [c.name for c in classes()]


def export_labels(file: str | Path, out: str | Path, history: bool = False) -> Path:
    """Write what `read` reads to a file, whole or not at all; several labels of a CSV cell are parted by "|".

    Args:
        out: a .csv or .parquet file.
    """
    df, out = read(file, history), Path(out)
    with replacing(out) as part:
        write_labels(df, part, out.suffix)
    return out


def write_labels(df: pd.DataFrame, file: Path, ending: str) -> None:
    """Write a frame of labels in the way that an ending names.

    Raises:
        ValueError: another ending than .csv or .parquet.
    """
    if ending not in ENDINGS:
        raise ValueError(f"labels are not written as {ending!r}; choose one of {list(ENDINGS)}")
    if ending == ".parquet":
        require("pyarrow", extra="export")
        df.to_parquet(file, index=False)
        return
    joined = [[DELIMITER.join(cell) if isinstance(cell, list) else cell for cell in df[name]]
              for name in ("label", "suggestion")]  # fmt: skip
    df.assign(label=joined[0], suggestion=joined[1]).to_csv(file, index=False)
