"""Predictions for users: decisions and probabilities for each row, or missing values."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from kickbert.targets.base import PREDICTED, Target
from kickbert.utils.messages import plural, row_names


def prediction_frame(
    target: Target,
    probs: np.ndarray,
    decided: np.ndarray,
    index: pd.Index,
    empty: np.ndarray,
    min_confidence: float | None = None,
) -> pd.DataFrame:
    """Make the DataFrame of predictions: missing values for rows without text, no label if the confidence is too low.

    Args:
        probs, decided, index: `probs`, `codes` and `index` of `Target.frame`.
        empty: rows without text, bool, shape (n,).
        min_confidence: rows with a lower confidence get no label.
    Raises:
        ValueError: `min_confidence` for several labels or a number, which have no confidence.
    """
    if empty.any():
        rows = row_names(empty, index)
        warnings.warn(f"{plural(empty.sum(), 'row')} without text, without a prediction: {rows}", stacklevel=3)
    out = target.frame(probs, decided, index)
    if out.iloc[:, 0].dtype.kind in "ib":  # beside a missing value, 1 would become 1.0, and True an object
        out[out.columns[0]] = out.iloc[:, 0].convert_dtypes()
    out[empty] = None
    if min_confidence is not None:
        if "confidence" not in out:
            raise ValueError(f"min_confidence={min_confidence} needs one label per row; the task is {target.task}")
        out[PREDICTED] = out[PREDICTED].where(out["confidence"] >= min_confidence, None)
    return out


def median_note(target: Target, probs: np.ndarray, decided: np.ndarray) -> str:
    """Count the rows in which the label (the median of ordered classes) is not the most likely class, in a sentence.

    >>> from kickbert.targets.labels import OrderedLabels
    >>> target = OrderedLabels(("low", "middle", "high"))
    >>> median_note(target, np.array([[0.45, 0.1, 0.45], [0.8, 0.1, 0.1]]), np.array([1, 0]))
    'the label is the median of the ordered classes: in 1 of 2 rows another class is likelier'
    """
    if not target.is_ordered or not (count := int((probs.argmax(1) != decided).sum())):
        return ""
    rows = f"{count:,} of {len(probs):,} rows"
    return f"the label is the median of the ordered classes: in {rows} another class is likelier"


def prediction_records(
    target: Target, probs: np.ndarray, decided: np.ndarray, empty: np.ndarray, min_confidence: float | None = None
) -> list[dict[str, Any]]:
    """Convert predictions to JSON types: a dict per row, as `Target.records` makes them.

    Args:
        probs, decided, empty, min_confidence: as for `prediction_frame`; a row without text has None in each field.

    >>> from kickbert.targets.labels import Labels
    >>> prediction_records(Labels(("bad", "good")), np.array([[0.25, 0.75]]), np.array([1]), np.array([False]))
    [{'label': 'good', 'confidence': 0.75, 'probabilities': {'bad': 0.25, 'good': 0.75}}]
    """
    records = target.records(probs, decided)
    for record in records:
        if min_confidence is not None and record.get("confidence", 1.0) < min_confidence:
            record["label"] = None
    return [dict.fromkeys(record) if no_text else record for record, no_text in zip(records, empty, strict=True)]
