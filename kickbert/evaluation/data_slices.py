"""Accuracy of slices of the rows, to find the parts where a model is weak."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.significance import holm
from kickbert.text.word_statistics import detect_languages

MIN_ROWS = 30  # rows inside and outside of a slice
UNKNOWN = "too short to tell"
LEVEL = 0.05
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
        parts["language"] = [language or UNKNOWN for language in detect_languages(predictions.texts)]
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


def weak_slices(predictions: Predictions, skipped: Sequence[str] = ()) -> pd.DataFrame:
    """Select the slices that are less accurate than the other rows by more than chance (p < 0.05).

    Args:
        predictions: predictions with true labels.
        skipped: columns of df that are no property of the texts, such as the labels.
    Returns:
        As `slices`, with those rows only.
    """
    df = pd.DataFrame() if predictions.df is None else predictions.df
    table = slices(predictions, [column for column in _slice_columns(df, None) if column not in skipped])
    return table[(table["p"] < LEVEL) & (table["accuracy"] < table["others"])].reset_index(drop=True)


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
    numbers = values.astype(float)
    edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, 6)))
    places = np.searchsorted(edges[1:-1], numbers)  # an edge belongs to the range below it
    spans = numbers.groupby(places).agg(["min", "max"])  # numbers that occur, so that ranges do not overlap
    names = {place: _range_name(low, high) for place, low, high in spans.itertuples()}
    return np.array(
        [names[p] if known else "missing" for p, known in zip(places, numbers.notna(), strict=True)], dtype=object
    )


def _range_name(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
