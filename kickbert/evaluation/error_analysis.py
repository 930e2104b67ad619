"""Error analysis: single rows, pairs of classes, slices, words, leaks from training, and likely label errors."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.significance import holm
from kickbert.targets.label_noise import label_confidence, suspected_errors
from kickbert.text import duplicates
from kickbert.text.duplicates import near_duplicates
from kickbert.text.tokenization import SEP
from kickbert.text.word_statistics import detect_languages, distinctive_words
from kickbert.utils.messages import shorten

WIDTH = 160  # characters of a text in a table
LEAST = 30  # rows of a slice that is worth a sentence
VALUES = 30  # of a column, over which it is cut into quantiles or left out


def confident_mistakes(predictions: Predictions, top: int = 20) -> pd.DataFrame:
    """Misclassified rows of the highest confidence: a wrong label, a rare case, or something not understood.

    Args:
        predictions: with true labels.
        top: rows at most.
    Returns:
        row, true, predicted, confidence, text; the most confident first.
    """
    wrong = np.flatnonzero(predictions.wrong)
    worst = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")][:top]
    return pd.DataFrame(
        {
            "row": _row_labels(predictions)[worst],
            "true": _names(predictions, predictions.y_true[worst]),
            "predicted": _names(predictions, predictions.y_pred[worst]),
            "confidence": predictions.confidence[worst],
            "text": _texts(predictions, worst),
        }
    )


def confused_pairs(predictions: Predictions, top: int = 20) -> pd.DataFrame:
    """The cells off the diagonal of the confusion matrix, the largest first.

    Args:
        predictions: with true labels.
        top: pairs at most.
    Returns:
        true, predicted, rows, share of true class; empty for several labels a row.
    """
    rows = []
    if not predictions.target.is_multilabel:
        names, wrong = predictions.target.names, predictions.wrong
        totals = np.bincount(predictions.y_true, minlength=len(names))
        cells = np.stack([predictions.y_true, predictions.y_pred], 1)[wrong]
        pairs, counts = np.unique(cells, axis=0, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:top]
        for (true, predicted), count in zip(pairs[order], counts[order], strict=True):
            rows.append((names[true], names[predicted], count, count / totals[true]))
    return pd.DataFrame(rows, columns=["true", "predicted", "rows", "share of true class"])


def slices(predictions: Predictions, columns: Sequence[str] | None = None, languages: bool = True) -> pd.DataFrame:
    """Accuracy of slices of the rows: by length, by language, by the values of columns.

    Args:
        predictions: with true labels.
        columns: of df; None for all that have few values or are numbers, but for texts.
        languages: whether to detect them, which takes a millisecond a row.
    Returns:
        slice, rows, accuracy, others (accuracy of the other rows), p (Fisher's exact test, corrected for the number of
        slices by Holm 1979), the weakest slice first.
    """
    parts = {}
    if predictions.texts:
        parts["words"] = _ranges(pd.Series([len(text.split()) for text in predictions.texts]))
    if languages and predictions.texts:
        parts["language"] = detect_languages(predictions.texts)
    for column in _slice_columns(predictions.df, columns):
        parts[str(column)] = _slice_values(predictions.df[column])
    right, rows = ~predictions.wrong, []
    for name, values in parts.items():
        for value, places in pd.Series(np.arange(len(right))).groupby(np.asarray(values, dtype=object)):
            inside = np.zeros(len(right), dtype=bool)
            inside[places] = True
            if LEAST <= inside.sum() <= len(right) - LEAST:
                rows.append((f"{name}: {value}", *_inside_and_outside(right, inside)))
    out = pd.DataFrame(rows, columns=["slice", "rows", "accuracy", "others", "p"])
    out["p"] = holm(out["p"].tolist())
    return out.sort_values(["accuracy", "slice"], ignore_index=True)


def _inside_and_outside(right: np.ndarray, inside: np.ndarray) -> tuple[int, float, float, float]:
    """Rows and accuracy of a slice, accuracy of the other rows, the p-value of their difference."""
    from scipy.stats import fisher_exact

    table = [[right[rows].sum(), (~right[rows]).sum()] for rows in (inside, ~inside)]
    return inside.sum(), right[inside].mean(), right[~inside].mean(), fisher_exact(table).pvalue


def _slice_columns(df: pd.DataFrame | None, columns: Sequence[str] | None) -> list:
    if df is None or columns is not None:
        return list(columns or ())
    return [
        c for c in df.columns
        if df[c].map(np.isscalar).all() and (pd.api.types.is_numeric_dtype(df[c]) or df[c].nunique() <= VALUES)
    ]  # fmt: skip


def _slice_values(values: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > VALUES:
        return _ranges(values)
    return values.astype(object).where(values.notna(), "missing").to_numpy()


def _ranges(values: pd.Series) -> np.ndarray:
    """Numbers as the names of the quintile that they fall in."""
    quintiles = pd.qcut(values.astype(float), 5, duplicates="drop", precision=0)
    return np.array(
        [f"{max(q.left, values.min()):g} to {q.right:g}" if pd.notna(q) else "missing" for q in quintiles], dtype=object
    )


def leaks(predictions: Predictions, training: Sequence[str], similar: float = 0.8) -> pd.DataFrame:
    """Train-test leakage: evaluated rows whose text stands in training too, word for word or nearly.

    Args:
        predictions: with texts.
        training: texts that the model was trained on.
        similar: Jaccard similarity of character five-grams from which two texts are near duplicates.
    Returns:
        row, training row (its number), match ("exact" or "near"), text.
    """
    texts = [*training, *predictions.texts]
    held_out = np.arange(len(texts)) >= len(training)
    index = pd.Index([*range(len(training)), *_row_labels(predictions)], dtype=object)
    table = duplicates.leaks(texts, held_out, index, near_duplicates(texts, similar))
    return table.assign(text=[text.replace(SEP, " | ") for text in table["text"]])


def label_errors(predictions: Predictions) -> pd.DataFrame:
    """Find likely label errors by confident learning (`suspected_errors`).

    Args:
        predictions: out-of-fold predictions, such as `cross_validate(...).predictions`: a model agrees with the labels
            that it was trained on.
    Returns:
        row, label, suggested, quality (the probability of the label, 0 to 1), text; the most suspicious first.
    Raises:
        ValueError: the target is a number.
    """
    target = predictions.target
    if target.is_number:
        raise ValueError(f"only classes have label errors; the task is {target.task}. Sort by the residuals instead")
    codes = predictions.y_true.astype(int)
    worst = suspected_errors(predictions.probs, codes)
    suggested = predictions.probs >= 0.5 if target.is_multilabel else predictions.probs.argmax(1)
    return pd.DataFrame(
        {
            "row": _row_labels(predictions)[worst],
            "label": _names(predictions, predictions.y_true[worst]),
            "suggested": _names(predictions, suggested[worst]),
            "quality": label_confidence(predictions.probs, codes)[worst],
            "text": _texts(predictions, worst),
        }
    )


def misleading_words(predictions: Predictions, top: int = 8) -> pd.DataFrame:
    """Words that set the mistakes of a predicted class apart from its right predictions (`distinctive_words`).

    Args:
        predictions: with true labels and texts.
        top: words of a class at most.
    Returns:
        predicted, words: those that push rows of other classes there.
    """
    predicted, wrong, rows = np.array(_names(predictions, predictions.y_pred)), predictions.wrong, []
    for name in sorted(set(predicted[wrong])):
        places = np.flatnonzero(predicted == name)
        outcomes = [["mistake"] if wrong[i] else ["right"] for i in places]
        table = distinctive_words([predictions.texts[i] for i in places], outcomes, top).set_index("class")["words"]
        if table.get("mistake"):
            rows.append((name, table["mistake"]))
    return pd.DataFrame(rows, columns=["predicted", "words"])


def _row_labels(predictions: Predictions) -> pd.Index:
    return pd.RangeIndex(len(predictions)) if predictions.df is None else predictions.df.index


def _texts(predictions: Predictions, rows: np.ndarray) -> list[str]:
    """Shortened texts of rows; empty ones where there are none."""
    texts = predictions.texts
    return [shorten(texts[i].replace(SEP, " | "), WIDTH) if texts else "" for i in rows]


def _names(predictions: Predictions, codes: np.ndarray) -> list[str]:
    """Codes as class names; labels of a row joined."""
    names = predictions.target.names
    if predictions.target.is_multilabel:
        return [", ".join(names[j] for j in np.flatnonzero(row)) or "none" for row in codes]
    return [names[c] for c in codes]
