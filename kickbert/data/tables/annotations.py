"""Exports of annotation tools as one row per text with a column of labels.

A label counts if more than half of the annotators of a text gave it. Skipped, rejected, and ignored texts, drafts, and
predictions of models are no labels; their rows are kept without a label.
"""

import json
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd

from kickbert.data.tables.class_labels import name_classes
from kickbert.targets.label_cells import labeled_rows
from kickbert.utils.cells import is_blank
from kickbert.utils.messages import plural

Answer: TypeAlias = list[Any]  # the labels that one annotator gave to a text
Answers: TypeAlias = list[list[Answer]]  # for each row, the answers of its annotators


class Export(ABC):
    """The shape of a tool's export. Another tool is another subclass."""

    tool: ClassVar[str]
    kinds: ClassVar[list[type["Export"]]] = []

    def __init_subclass__(cls) -> None:
        Export.kinds.append(cls)

    @classmethod
    @abstractmethod
    def matches(cls, df: pd.DataFrame) -> bool:
        """Tell whether df has this shape."""

    @classmethod
    @abstractmethod
    def read(cls, df: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Answers]]:
        """Return a row per text, and the answers to each question by its name."""


class Prodigy(Export):
    """`db-out` of Prodigy: text and answer, with the label that was asked about or the list of those accepted."""

    tool = "Prodigy"

    @classmethod
    def matches(cls, df: pd.DataFrame) -> bool:
        if not {"text", "answer"} <= set(df) or not {"label", "accept"} & set(df):
            return False
        return df["answer"].dropna().isin(["accept", "reject", "ignore"]).all()

    @classmethod
    def read(cls, df: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Answers]]:
        used = ["answer", "accept", "label", "options", "config", *(name for name in df if str(name).startswith("_"))]
        groups = [rows for _, rows in df.groupby("text", sort=False)]
        texts = df.drop_duplicates("text").dropna(subset="text").drop(columns=used, errors="ignore")
        if "accept" in df:
            accepted = [rows.loc[rows["answer"] == "accept", "accept"] for rows in groups]
            return texts, {"label": [[_members(cell) for cell in cells] for cells in accepted]}
        names = df["label"].dropna().unique()
        other = f"not {names[0]}" if len(names) == 1 else None
        return texts, {"label": [_decided(rows, other) for rows in groups]}


def _decided(rows: pd.DataFrame, other: str | None) -> list[Answer]:
    """The labels accepted for a text more often than rejected; `other` if the only label is rejected."""
    votes = rows["answer"].map({"accept": 1, "reject": -1, "ignore": 0}).groupby(rows["label"], sort=False).sum()
    accepted = votes.index[votes > 0].tolist()
    if accepted:
        return [accepted]
    return [[other]] if other is not None and (votes < 0).any() else []


class LabelStudio(Export):
    """JSON of Label Studio: a task per row, with its data and its annotations."""

    tool = "Label Studio"

    @classmethod
    def matches(cls, df: pd.DataFrame) -> bool:
        return {"data", "annotations"} <= set(df) and all(isinstance(cell, dict) for cell in df["data"])

    @classmethod
    def read(cls, df: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Answers]]:
        texts = pd.DataFrame(df["data"].tolist(), index=df.index)
        tasks = [cls._annotations(cell) for cell in df["annotations"]]
        names = dict.fromkeys(name for task in tasks for choices in task for name in choices)
        return texts, {name: [[choices.get(name, []) for choices in task] for task in tasks] for name in names}

    @classmethod
    def _annotations(cls, cell: Any) -> list[dict[str, Answer]]:
        """The choices of each annotation that was not skipped, by question; of the ground truth if one is marked."""
        done = [annotation for annotation in _members(cell) if not annotation.get("was_cancelled")]
        done = [annotation for annotation in done if annotation.get("ground_truth")] or done
        found = []
        for annotation in done:
            choices: dict[str, Answer] = {}
            for result in annotation.get("result") or []:
                value = result.get("value", {})
                labels = value.get("choices") or ([value["rating"]] if "rating" in value else [])
                if labels:
                    choices.setdefault(result["from_name"], []).extend(labels)
            found.append(choices)
        return found


class LabelStudioRows(Export):
    """JSON-MIN and CSV of Label Studio: an annotation per row; several choices are a dict, or its JSON."""

    tool = "Label Studio"
    NOTES = ("annotator", "annotation_id", "created_at", "updated_at", "lead_time", "was_cancelled", "agreement")

    @classmethod
    def matches(cls, df: pd.DataFrame) -> bool:
        return {"annotator", "annotation_id", "lead_time"} <= set(df)

    @classmethod
    def read(cls, df: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Answers]]:
        skipped = df["was_cancelled"].astype(str).str.lower() == "true" if "was_cancelled" in df else None
        df = df.reset_index(drop=True) if skipped is None else df[~skipped].reset_index(drop=True)
        task = df["id"] if "id" in df else pd.Series(df.index)
        groups = [rows for _, rows in df.groupby(task, sort=False, dropna=False)]
        names = [name for name in df if name not in (*cls.NOTES, "id")]
        filled = {name: labeled_rows(df[name]) for name in names}
        answers = {
            name: [[_choices(cell) for cell in rows[name][filled[name][rows.index]]] for rows in groups]
            for name in names
        }
        return pd.DataFrame({"id": task.drop_duplicates().tolist()}), answers


def _choices(cell: Any) -> Answer:
    if isinstance(cell, str) and cell.startswith('{"choices"'):
        with suppress(ValueError):
            cell = json.loads(cell)
    return list(cell["choices"]) if isinstance(cell, dict) and "choices" in cell else [cell]


class Argilla(Export):
    """Flat records of Argilla, as `to_datasets`, `to_list(flatten=True)` and the Hub have them."""

    tool = "Argilla"

    @classmethod
    def matches(cls, df: pd.DataFrame) -> bool:
        return {"fields", "responses"} <= set(df) or any(str(name).endswith(".responses") for name in df)

    @classmethod
    def read(cls, df: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Answers]]:
        if "fields" in df:
            raise ValueError(
                "nested records of Argilla do not tell submitted responses from drafts and discarded ones. Export them "
                "flat: dataset.records.to_list(flatten=True), or dataset.records.to_datasets()"
            )
        rows = df.to_dict(orient="records")
        names = [name.removesuffix(".responses") for name in df if name.endswith(".responses")]
        notes = [name for name in df if name in ("status", "_server_id") or name.partition(".")[0] in names]
        return df.drop(columns=notes), {name: [cls._submitted(row, name) for row in rows] for name in names}

    @staticmethod
    def _submitted(row: dict[str, Any], name: str) -> list[Answer]:
        """The labels of each submitted response; spans and rankings are no labels."""
        values, states = (_members(row[f"{name}.responses{part}"]) for part in ("", ".status"))
        done = [value for value, state in zip(values, states, strict=True) if state == "submitted"]
        answers = [_members(value) if isinstance(value, (list, np.ndarray)) else [value] for value in done]
        return [answer for answer in answers if not any(isinstance(label, dict) for label in answer)]


class Doccano(Export):
    """JSONL, JSON, and CSV of Doccano: a list of labels per text, which CSV joins with "#"."""

    tool = "Doccano"

    @classmethod
    def matches(cls, df: pd.DataFrame) -> bool:
        return {"id", "text", "label", "Comments"} <= set(df)

    @classmethod
    def read(cls, df: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Answers]]:
        labels = [_joined(cell) if isinstance(cell, str) else _members(cell) for cell in df["label"]]
        return df.drop(columns=["label", "Comments"]), {"label": [[answer] if answer else [] for answer in labels]}


def _joined(cell: str) -> Answer:
    """
    >>> _joined("a#b"), _joined("C#"), _joined("")
    (['a', 'b'], ['C#'], [])
    """
    if is_blank(cell):
        return []
    parts = [part.strip() for part in cell.split("#")]
    return parts if all(parts) else [cell]


def export_of(df: pd.DataFrame) -> type[Export] | None:
    """Return the kind of export that df is; None for any other table."""
    return next((kind for kind in Export.kinds if kind.matches(df)), None)


def check_no_export(df: pd.DataFrame) -> None:
    """Check that df is not the export of an annotation tool, in which a row may be a rejected or a skipped label.

    Raises:
        ValueError: it is one.
    """
    kind = export_of(df) if isinstance(df, pd.DataFrame) and df.columns.is_unique else None
    if kind is not None:
        raise ValueError(
            f"df is an export of {kind.tool}, not yet a row per text with its label. Convert it: "
            "df = kickbert.data.read_annotations(df)"
        )


def read_annotations(table: Any) -> pd.DataFrame:
    """Convert the export of an annotation tool to one row per text with its labels; any other table stays as it is.

    `read_rows` does it for files. A label counts if more than half of the annotators of a text gave it; skipped,
    rejected, and ignored texts have none.

    Args:
        table: DataFrame, or list of dicts as `json.load` returns it, in the shape that Prodigy, Label Studio, Argilla,
            or Doccano exports; or a Hugging Face `Dataset`, whose class numbers become names.
    Returns:
        The columns of the texts, and the labels: `label`, or the name of each question if there are several. A label is
        a value, or a list if a text may have several; missing where nobody labeled, or annotators disagree.
    Raises:
        TypeError: not a table.
        ValueError: nested records of Argilla, which do not say which responses were submitted.
    Warns:
        The tool, and how many texts have a label.

    >>> read_annotations([{"text": "a lamp", "label": "HOME", "answer": "accept"},
    ...                   {"text": "a sea", "label": "HOME", "answer": "reject"}])["label"].tolist()
    ['HOME', 'not HOME']
    """
    features = getattr(table, "features", {})
    df = _as_frame(table)
    df = name_classes(df, features.to_dict() if hasattr(features, "to_dict") else features)
    kind = export_of(df)
    if kind is None:
        return df
    texts, answers = kind.read(df)
    labels = {name: _column([_majority(row) for row in rows]) for name, rows in answers.items()}
    if len(labels) == 1 and "label" not in texts:
        labels = {"label": next(iter(labels.values()))}
    df = texts.assign(**{name: pd.Series(cells, texts.index, dtype=object) for name, cells in labels.items()})
    df = df.reset_index(drop=True).infer_objects()
    warnings.warn(_note(kind, df, labels), stacklevel=3)
    return df


def _as_frame(table: Any) -> pd.DataFrame:
    """
    Raises:
        TypeError: not a table.
    """
    if isinstance(table, pd.DataFrame):
        return table
    if hasattr(table, "to_pandas"):
        return table.to_pandas()
    if isinstance(table, Sequence) and table and all(isinstance(row, dict) for row in table):
        return pd.DataFrame(list(table))
    raise TypeError(f"table must be a DataFrame, a list of dicts or a Dataset, not {type(table).__name__}")


def _majority(answers: list[Answer]) -> Answer | None:
    """The answer that more than half of the annotators gave; None if there is none."""
    by_labels = {tuple(sorted(answer, key=str)): answer for answer in answers}
    counts = Counter(tuple(sorted(answer, key=str)) for answer in answers)
    labels, count = counts.most_common(1)[0] if counts else ((), 0)
    return by_labels[labels] if 2 * count > len(answers) else None


def _column(answers: list[Answer | None]) -> list[Any]:
    """A label per row, or a list per row if one has several."""
    if any(answer is not None and len(answer) > 1 for answer in answers):
        return list(answers)
    return [answer[0] if answer else None for answer in answers]


def _note(kind: type[Export], df: pd.DataFrame, labels: Iterable[str]) -> str:
    said = [f"{kind.tool} export: read as {plural(len(df), 'text')}"]
    for name in labels:
        if absent := int(df[name].isna().sum()):
            said.append(f"{absent:,} without {name!r} (skipped, rejected, or annotators disagree)")
        if any(isinstance(cell, list) for cell in df[name]):
            said.append(f"{name!r} holds lists of labels")
    return "; ".join(said)


def _members(cell: Any) -> list[Any]:
    """The members of a list or an array; none of a missing cell."""
    return list(cell) if isinstance(cell, (list, tuple, np.ndarray)) else []
