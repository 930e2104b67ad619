"""What a model has to beat: the most usual answer, and a linear model of word counts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from kickbert.targets import MULTI, REGRESSION, Target

LINEAR = "TF-IDF + linear model"
MAJORITY = "majority"
FEW = 100  # rows below which every word counts, and not only those of two rows


def word_counts(model: Any, rows: int) -> Pipeline:
    """TF-IDF of words and word pairs, then the model."""
    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2 if rows >= FEW else 1), model)


def majority(target: Target, codes: np.ndarray, rows: int) -> np.ndarray:
    """The share of each class (for numbers the median) in training, for every row: shape (rows, outputs)."""
    if target.task == REGRESSION:
        share = np.array([np.median(codes)])
    elif target.task == MULTI:
        share = codes.mean(0)
    else:
        share = np.bincount(codes, minlength=len(target.names)) / len(codes)
    return np.tile(share.astype(float), (rows, 1))


def linear(target: Target, codes: np.ndarray, texts: Sequence[str], asked: Sequence[str]) -> np.ndarray | None:
    """What a linear model of word counts says, trained on `texts`: probabilities, or standardised numbers.

    Args:
        codes: of `texts`, as the target encodes them.
        asked: the texts to answer.
    Returns:
        Shape (rows, outputs); None where there is not one word, or one class, to learn from.
    """
    out = np.zeros((len(asked), len(target.names)))
    try:
        if target.task == REGRESSION:
            return word_counts(Ridge(), len(texts)).fit(texts, codes).predict(asked).reshape(-1, 1)
        model = LogisticRegression(C=10, max_iter=1000)
        if target.task == MULTI:
            there = np.flatnonzero((codes.min(0) == 0) & (codes.max(0) == 1))  # labels with rows of both kinds
            out[:, codes.min(0) == 1] = 1
            fitted = word_counts(OneVsRestClassifier(model), len(texts)).fit(texts, codes[:, there].astype(int))
            out[:, there] = fitted.predict_proba(asked)
            return out
        fitted = word_counts(model, len(texts)).fit(texts, codes)
    except ValueError:  # scikit-learn's word for an empty vocabulary or a single class
        return None
    out[:, fitted.classes_] = fitted.predict_proba(asked)
    return out
