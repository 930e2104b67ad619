"""Baselines that a model has to beat: the majority class, and a linear model of TF-IDF."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from kickbert.evaluation.predictions import Predictions
from kickbert.models.protocol import Labeled
from kickbert.targets.base import Target
from kickbert.targets.thresholds import best_thresholds
from kickbert.text.word_statistics import tfidf_vectorizer

LINEAR = "TF-IDF + linear model"
MAJORITY = "majority"


def majority(target: Target, codes: np.ndarray, rows: int) -> np.ndarray:
    """Predict the share of each class in training for every row; of numbers their median.

    Args:
        target: what is predicted.
        codes: of the training rows, as the target encodes them.
        rows: how many to predict.
    Returns:
        Probabilities, or standardised numbers, shape (rows, outputs).
    """
    return np.tile(target.constant(codes).astype(float), (rows, 1))


def linear(target: Target, codes: np.ndarray, train: Sequence[str], texts: Sequence[str]) -> np.ndarray | None:
    """Predict with logistic regression (of numbers ridge regression) on TF-IDF of words and word pairs.

    Args:
        target: what is predicted.
        codes: of the training texts, as the target encodes them.
        train: training texts.
        texts: to predict.
    Returns:
        Probabilities, or standardised numbers, shape (texts, outputs); None where there is not one word, or one class
        alone, to learn from.
    """
    words = tfidf_vectorizer(len(train))
    try:
        known = words.fit_transform(train)
    except ValueError:  # scikit-learn's word for an empty vocabulary
        return None
    new, model = words.transform(texts), LogisticRegression(C=10, max_iter=1000)
    if target.is_number:
        return Ridge().fit(known, codes).predict(new).reshape(-1, 1)
    probs = np.zeros((len(texts), len(target.names)))
    if target.is_multilabel:
        probs[:] = codes.min(0)  # labels that each row has, or none
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
    """Predict the rows of a model by each baseline; thresholds of several labels are tuned as the model's are.

    Args:
        predictions: the model's, with texts and true labels.
        train, codes: texts and codes of the training rows.
        valid: those of the validation rows; None where there are none.
    Returns:
        Predictions by the name of the baseline; without the linear one where it has nothing to learn from.
    """
    target, thresholds, (valid_texts, valid_codes) = predictions.target, 0.5, valid or ([], None)
    probs = majority(target, codes, len(predictions))
    out = {MAJORITY: Predictions(target, probs, target.decide(probs), predictions.y_true)}
    probs = linear(target, codes, train, [*valid_texts, *predictions.texts])
    if probs is not None:
        if target.is_multilabel and len(valid_texts):
            thresholds = best_thresholds(probs[: len(valid_texts)], valid_codes)
        probs = probs[len(valid_texts) :]
        out[LINEAR] = Predictions(target, probs, target.decide(probs, thresholds), predictions.y_true)
    return out
