"""Accuracy of slices of the rows, to find the parts where a model is weak."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.significance import holm
from kickbert.text.word_statistics import detect_languages

MIN_ROWS = 30  # rows inside and outside of a slice
MAX_VALUES = 30  # values of a column; with more, numbers are cut into quintiles and other columns are skipped


def slices(predictions: Predictions, columns: Sequence[str] | None = None, languages: bool = True) -> pd.DataFrame:
    """Compute the accuracy of slices of the rows: by length, by language, and by the values of columns.

    Args:
        predictions: predictions with true labels.
        columns: columns of df; None for all that have few values or are numeric.
        languages: whether to detect languages, which takes a millisecond per row.
    Returns:
        slice, rows, accuracy, others (accuracy of the other rows), p (Fisher's exact test, corrected for the number of
        slices by Holm 1979); the weakest slice first.
    """
    df = pd.DataFrame() if predictions.df is None else predictions.df
    parts: dict[str, np.ndarray | list[str]] = {}
    if predictions.texts:
        parts["words"] = _ranges(pd.Series([len(text.split()) for text in predictions.texts]))
    if languages and predictions.texts:
        parts["language"] = detect_languages(predictions.texts)
    for column in _slice_columns(df, columns):
        parts[str(column)] = _slice_values(df[column])
    correct = ~predictions.wrong
    rows = []
    for name, values in parts.items():
        for value, positions in pd.Series(np.arange(len(correct))).groupby(np.asarray(values, dtype=object)):
            inside = np.zeros(len(correct), dtype=bool)
            inside[positions] = True
            if MIN_ROWS <= inside.sum() <= len(correct) - MIN_ROWS:
                rows.append((f"{name}: {value}", *_inside_and_outside(correct, inside)))
    out = pd.DataFrame(rows, columns=["slice", "rows", "accuracy", "others", "p"])
    out["p"] = holm(out["p"].tolist())
    return out.sort_values(["accuracy", "slice"], ignore_index=True)


def _inside_and_outside(correct: np.ndarray, inside: np.ndarray) -> tuple[int, float, float, float]:
    """Rows and accuracy of a slice, accuracy of the other rows, and the p-value of the difference."""
    from scipy.stats import fisher_exact

    table = [[correct[rows].sum(), (~correct[rows]).sum()] for rows in (inside, ~inside)]
    return inside.sum(), correct[inside].mean(), correct[~inside].mean(), fisher_exact(table).pvalue


def _slice_columns(df: pd.DataFrame, columns: Sequence[str] | None) -> list:
    if columns is not None:
        return list(columns)
    scalar = [c for c in df.columns if df[c].map(np.isscalar).all()]
    return [c for c in scalar if pd.api.types.is_numeric_dtype(df[c]) or df[c].nunique() <= MAX_VALUES]


def _slice_values(values: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > MAX_VALUES:
        return _ranges(values)
    return values.astype(object).where(values.notna(), "missing").to_numpy()


def _ranges(values: pd.Series) -> np.ndarray:
    """Name the quintile of each number."""
    quintiles = pd.qcut(values.astype(float), 5, duplicates="drop", precision=0)
    return np.array(
        [f"{max(q.left, values.min()):g} to {q.right:g}" if pd.notna(q) else "missing" for q in quintiles], dtype=object
    )
