"""What a user gets for each row: decisions and probabilities, or nothing."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from kickbert.targets.kinds import MULTI, REGRESSION, Bins, Target
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


def prediction_records(
    target: Target, probs: np.ndarray, decided: np.ndarray, min_confidence: float | None = None
) -> list[dict[str, Any]]:
    """Predictions as JSON can hold them, a dict a row, with the fields that `Target.frame` has as columns.

    >>> from kickbert.targets.kinds import Labels
    >>> prediction_records(Labels(("bad", "good")), np.array([[0.25, 0.75]]), np.array([1]))
    [{'label': 'good', 'confidence': 0.75, 'probabilities': {'bad': 0.25, 'good': 0.75}}]
    """
    if target.task == REGRESSION:
        return [{"value": float(v)} for v in target.inverse_transform(probs.reshape(-1).astype(float))]
    names, rows = target.names, probs.tolist()
    told = [{"probabilities": dict(zip(names, row, strict=True))} for row in rows]
    if target.task == MULTI:
        return [{"labels": target.decode(np.flatnonzero(d))} | t for d, t in zip(decided, told, strict=True)]
    out = []
    for row, code, more in zip(rows, decided.tolist(), told, strict=True):
        sure = min_confidence is None or row[code] >= min_confidence
        said = {"label": target.decode([code])[0] if sure else None, "confidence": row[code]}
        if isinstance(target, Bins):
            said["expected"] = float(np.dot(row, target.centers))
        out.append(said | more)
    return out
