"""Baselines that a model should beat: the majority class, a linear model on TF-IDF, and other columns alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from kickbert.evaluation.predictions import Predictions
from kickbert.models.protocol import Labeled
from kickbert.targets.base import Target, Thresholds
from kickbert.targets.thresholds import best_thresholds
from kickbert.text.word_statistics import tfidf_vectorizer

LINEAR = "TF-IDF + linear model"
COLUMNS = "columns alone"
MAJORITY = "majority"


def majority(target: Target, codes: np.ndarray, rows: int) -> np.ndarray:
    """Predict the class shares of the training rows for every row; for a number, the median.

    Args:
        target: target of the model.
        codes: encoded labels of the training rows.
        rows: number of rows to predict.
    Returns:
        Probabilities, or standardized numbers, shape (rows, outputs).
    """
    return np.tile(target.constant(codes).astype(float), (rows, 1))


def tied_classes(target: Target, codes: np.ndarray) -> list[str]:
    """Name the classes that are equally often the most frequent, if there is more than one.

    Guessing the largest class then depends on which of them is guessed. The constant guess for ordered classes is
    their median, and several labels and numbers have no largest class.

    Args:
        target: target of the model.
        codes: encoded labels of the training rows.
    """
    if target.is_ordered or target.is_multilabel or target.is_number:
        return []
    counts = np.bincount(codes, minlength=len(target.names))
    largest = np.flatnonzero(counts == counts.max())
    return [target.names[i] for i in largest] if len(largest) > 1 else []


def linear(target: Target, codes: np.ndarray, train: Sequence[str], texts: Sequence[str]) -> np.ndarray | None:
    """Predict with logistic regression (for a number, ridge regression) on TF-IDF of words and word pairs.

    Args:
        target: target of the model.
        codes: encoded labels of the training texts.
        train: training texts.
        texts: texts to predict.
    Returns:
        Probabilities, or standardized numbers, shape (texts, outputs); None if the training texts have no words or
        only one class.
    """
    words = tfidf_vectorizer(len(train))
    try:
        known = words.fit_transform(train)
    except ValueError:  # an empty vocabulary
        return None
    new, model = words.transform(texts), LogisticRegression(C=10, max_iter=1000)
    if target.is_number:
        return Ridge().fit(known, codes).predict(new).reshape(-1, 1)
    probs = np.zeros((len(texts), len(target.names)))
    if target.is_multilabel:
        probs[:] = codes.min(0)  # a label that every row or no row has
        for label in np.flatnonzero(codes.min(0) < codes.max(0)):
            probs[:, label] = model.fit(known, codes[:, label]).predict_proba(new)[:, 1]
        return probs
    if codes.min() == codes.max():
        return None
    probs[:, np.unique(codes)] = model.fit(known, codes).predict_proba(new)
    return probs


def baseline_predictions(
    predictions: Predictions, train: list[str], codes: np.ndarray, valid: Labeled | None
) -> dict[str, Predictions]:
    """Predict the rows of a model with each baseline; thresholds of several labels are tuned like the model's.

    Args:
        predictions: predictions of the model, with texts and true labels.
        train: training texts.
        codes: encoded labels of the training texts.
        valid: texts and codes of the validation rows; None if there are none.
    Returns:
        Predictions by baseline; without the majority class if several classes are the largest, and without the linear
        one if it has nothing to learn from.
    """
    target = predictions.target
    thresholds: Thresholds = 0.5
    valid_texts = [] if valid is None else valid[0]
    out = {}
    if not tied_classes(target, codes):
        shares = majority(target, codes, len(predictions))
        out[MAJORITY] = Predictions(target, shares, target.decide(shares), predictions.y_true)
    probs = linear(target, codes, train, [*valid_texts, *predictions.texts])
    if probs is not None:
        if target.is_multilabel and valid is not None:
            thresholds = best_thresholds(probs[: len(valid_texts)], valid[1])
        probs = probs[len(valid_texts) :]
        out[LINEAR] = Predictions(target, probs, target.decide(probs, thresholds), predictions.y_true)
    return out


def columns_alone(model: Any, predictions: Predictions) -> dict[str, Predictions]:
    """Predict rows by the columns beside the text, without the text.

    Args:
        model: a learner or a predictor.
        predictions: its predictions of rows of a DataFrame, or of a learner's validation rows.
    Returns:
        One entry; none for a model that reads text alone.
    """
    if model.columns is None:
        return {}
    target, df = predictions.target, predictions.df
    offsets = model.dls.valid.offsets.numpy() if df is None else model.columns.offsets(df)
    probs = target.activate(offsets.astype(float))
    return {COLUMNS: Predictions(target, probs, target.decide(probs), predictions.y_true)}
