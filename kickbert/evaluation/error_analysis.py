"""Error analysis: confident mistakes, confused classes, leakage, likely label errors, misleading words."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kickbert.evaluation.predictions import Predictions
from kickbert.targets.label_noise import label_confidence, suspected_errors
from kickbert.text import duplicates
from kickbert.text.duplicates import near_duplicates
from kickbert.text.tokenization import SEP
from kickbert.text.word_statistics import distinctive_words
from kickbert.utils.messages import shorten

WIDTH = 160  # maximum characters of a text in a table


def confident_mistakes(predictions: Predictions, top: int = 20) -> pd.DataFrame:
    """List misclassified rows with the highest confidence: wrong labels, rare cases, or things not learned.

    Args:
        predictions: predictions with true labels.
        top: maximum number of rows.
    Returns:
        row, true, predicted, confidence, text; the most confident first.
    """
    wrong = np.flatnonzero(predictions.wrong)
    worst = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")][:top]
    return pd.DataFrame(
        {
            "row": _row_labels(predictions)[worst],
            "true": _names(predictions, predictions.labels[worst]),
            "predicted": _names(predictions, predictions.y_pred[worst]),
            "confidence": predictions.confidence[worst],
            "text": _texts(predictions, worst),
        }
    )


def confused_pairs(predictions: Predictions, top: int = 20) -> pd.DataFrame:
    """List the cells off the diagonal of the confusion matrix, the largest first.

    Args:
        predictions: predictions with true labels.
        top: maximum number of pairs.
    Returns:
        true, predicted, rows, share of true class; empty for several labels per row.
    """
    rows = []
    if not predictions.target.is_multilabel:
        names, wrong = predictions.target.names, predictions.wrong
        totals = np.bincount(predictions.labels, minlength=len(names))
        cells = np.stack([predictions.labels, predictions.y_pred], 1)[wrong]
        pairs, counts = np.unique(cells, axis=0, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:top]
        for (true, predicted), count in zip(pairs[order], counts[order], strict=True):
            rows.append((names[true], names[predicted], count, count / totals[true]))
    return pd.DataFrame(rows, columns=["true", "predicted", "rows", "share of true class"])


def leaks(predictions: Predictions, training: Sequence[str], similar: float = 0.8) -> pd.DataFrame:
    """Find train-test leakage: evaluated rows whose text is also in the training data, exactly or nearly.

    Args:
        predictions: predictions with texts.
        training: texts that the model was trained on.
        similar: minimum Jaccard similarity of character five-grams of near duplicates.
    Returns:
        row, training row (its position), match ("exact" or "near"), text.
    """
    texts = [*training, *predictions.texts]
    held_out = np.arange(len(texts)) >= len(training)
    index = pd.Index([*range(len(training)), *_row_labels(predictions)], dtype=object)
    table = duplicates.leaks(texts, held_out, index, near_duplicates(texts, similar))
    return table.assign(text=[text.replace(SEP, " | ") for text in table["text"]])


def label_errors(predictions: Predictions) -> pd.DataFrame:
    """Find likely label errors by confident learning (`suspected_errors`).

    Args:
        predictions: out-of-fold predictions, such as `cross_validate(...).predictions`, because a model agrees with the
            labels that it was trained on.
    Returns:
        row, label, suggested, quality (the probability of the label, 0 to 1), text; the most suspicious first.
    Raises:
        ValueError: the target is a number.
    """
    target = predictions.target
    if target.is_number:
        raise ValueError(f"only classes have label errors; the task is {target.task}. Sort by the residuals instead")
    codes = predictions.labels.astype(int)
    worst = suspected_errors(predictions.probs, codes)
    suggested = predictions.probs >= 0.5 if target.is_multilabel else predictions.probs.argmax(1)
    return pd.DataFrame(
        {
            "row": _row_labels(predictions)[worst],
            "label": _names(predictions, predictions.labels[worst]),
            "suggested": _names(predictions, suggested[worst]),
            "quality": label_confidence(predictions.probs, codes)[worst],
            "text": _texts(predictions, worst),
        }
    )


def misleading_words(predictions: Predictions, top: int = 8) -> pd.DataFrame:
    """List words that are typical of the mistakes of a predicted class (`distinctive_words`).

    Args:
        predictions: predictions with true labels and texts.
        top: maximum number of words per class.
    Returns:
        predicted, words.
    """
    predicted = np.array(_names(predictions, predictions.y_pred))
    wrong = predictions.wrong
    rows = []
    for name in sorted(set(predicted[wrong])):
        positions = np.flatnonzero(predicted == name)
        outcomes = [["mistake"] if wrong[i] else ["correct"] for i in positions]
        texts = [predictions.texts[i] for i in positions]
        table = distinctive_words(texts, outcomes, top).set_index("class")["words"]
        if table.get("mistake"):
            rows.append((name, table["mistake"]))
    return pd.DataFrame(rows, columns=["predicted", "words"])


def _row_labels(predictions: Predictions) -> pd.Index:
    return pd.RangeIndex(len(predictions)) if predictions.df is None else predictions.df.index


def _texts(predictions: Predictions, rows: np.ndarray) -> list[str]:
    """Shortened texts of rows; empty strings if there are no texts."""
    texts = predictions.texts
    return [shorten(texts[i].replace(SEP, " | "), WIDTH) if texts else "" for i in rows]


def _names(predictions: Predictions, codes: np.ndarray) -> list[str]:
    """Class names of codes; several labels of a row are joined."""
    names = predictions.target.names
    if predictions.target.is_multilabel:
        return [", ".join(names[j] for j in np.flatnonzero(row)) or "none" for row in codes]
    return [names[c] for c in codes]
