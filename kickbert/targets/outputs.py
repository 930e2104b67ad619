"""What a user gets for each row: decisions and probabilities, or nothing."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION, Bins, Target
from kickbert.utils.messages import row_names


def prediction_frame(
    target: Target,
    probs: np.ndarray,
    decided: np.ndarray,
    index: pd.Index,
    empty: np.ndarray,
    min_confidence: float | None = None,
) -> pd.DataFrame:
    """Predictions of rows, none where there was no text or where it is not sure enough.

    Args:
        probs, decided: as for `frame`.
        empty: rows without text, bool, shape (n,).
        min_confidence: below which a row gets no label.
    Raises:
        ValueError: a least confidence where there is none, of several labels or numbers.
    """
    if empty.any():
        rows = row_names(empty, index)
        warnings.warn(f"{empty.sum():,} rows have no text and get no label: rows {rows}", stacklevel=3)
    out = target.frame(probs, decided, index)
    if out.iloc[:, 0].dtype.kind in "ib":  # beside a missing one 1 would become 1.0, and True an object
        out[out.columns[0]] = out.iloc[:, 0].convert_dtypes()
    out[empty] = None
    if min_confidence is not None:
        if "confidence" not in out:
            raise ValueError(f"min_confidence={min_confidence} needs one label a row; the task is {target.task}")
        out["label"] = out["label"].where(out["confidence"] >= min_confidence, None)
    return out


def median_note(target: Target, probs: np.ndarray, decided: np.ndarray) -> str:
    """Say of how many rows the label, the median of ordered classes, is not the likeliest class; empty for none.

    >>> from kickbert.targets.kinds import Labels
    >>> target = Labels(("low", "middle", "high"), ORDINAL)
    >>> median_note(target, np.array([[0.45, 0.1, 0.45], [0.8, 0.1, 0.1]]), np.array([1, 0]))
    'the label is the median of the ordered classes: in 1 of 2 rows another class is likelier'
    """
    if target.task != ORDINAL or not (count := int((probs.argmax(1) != decided).sum())):
        return ""
    rows = f"{count:,} of {len(probs):,} rows"
    return f"the label is the median of the ordered classes: in {rows} another class is likelier"


def prediction_records(
    target: Target, probs: np.ndarray, decided: np.ndarray, empty: np.ndarray, min_confidence: float | None = None
) -> list[dict[str, Any]]:
    """Predictions as JSON can hold them, a dict a row, with the fields that `Target.frame` has as columns.

    Args:
        probs, decided, empty, min_confidence: as for `prediction_frame`; what has no text has None in each field.

    >>> from kickbert.targets.kinds import Labels
    >>> prediction_records(Labels(("bad", "good")), np.array([[0.25, 0.75]]), np.array([1]), np.array([False]))
    [{'label': 'good', 'confidence': 0.75, 'probabilities': {'bad': 0.25, 'good': 0.75}}]
    """
    records = _records(target, probs, decided, min_confidence)
    return [dict.fromkeys(record) if nothing else record for record, nothing in zip(records, empty, strict=True)]


def _records(
    target: Target, probs: np.ndarray, decided: np.ndarray, min_confidence: float | None
) -> list[dict[str, Any]]:
    if target.task == REGRESSION:
        return [{"value": float(v)} for v in target.inverse_transform(probs.reshape(-1).astype(float))]
    rows = probs.tolist()
    probabilities = [{"probabilities": dict(zip(target.names, row, strict=True))} for row in rows]
    if target.task == MULTI:
        labels = [{"labels": target.decode(np.flatnonzero(row))} for row in decided]
        return [record | more for record, more in zip(labels, probabilities, strict=True)]
    records = []
    for row, code, more in zip(rows, decided.tolist(), probabilities, strict=True):
        confident = min_confidence is None or row[code] >= min_confidence
        record = {"label": target.decode([code])[0] if confident else None, "confidence": row[code]}
        if isinstance(target, Bins):
            record["expected"] = float(np.dot(row, target.centers))
        records.append(record | more)
    return records
