"""What a user gets for each row: decisions and probabilities, or nothing."""

import warnings

import numpy as np
import pandas as pd

from kickbert.frames import named
from kickbert.targets import Target


def answers(
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
        warnings.warn(f"{empty.sum():,} rows have no text and get no label: rows {named(empty, index)}", stacklevel=3)
    out = target.frame(probs, decided, index)
    out[empty] = None
    if min_confidence is not None:
        if "confidence" not in out:
            raise ValueError(f"min_confidence={min_confidence} needs one label a row; the task is {target.task}")
        out["label"] = out["label"].where(out["confidence"] >= min_confidence, None)
    return out
