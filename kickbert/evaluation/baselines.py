"""What a model has to beat: the most usual answer, and a linear model of word counts."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from kickbert.targets.kinds import MULTI, REGRESSION, Target
from kickbert.text.word_statistics import tfidf_vectorizer

LINEAR = "TF-IDF + linear model"
MAJORITY = "majority"


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
    words = tfidf_vectorizer(len(texts))
    try:
        known = words.fit_transform(texts)
    except ValueError:  # scikit-learn's word for an empty vocabulary
        return None
    new, model = words.transform(asked), LogisticRegression(C=10, max_iter=1000)
    if target.task == REGRESSION:
        return Ridge().fit(known, codes).predict(new).reshape(-1, 1)
    out = np.zeros((len(asked), len(target.names)))
    if target.task == MULTI:
        out[:] = codes.min(0)  # labels that each row has, or none
        for label in np.flatnonzero(codes.min(0) < codes.max(0)):
            out[:, label] = model.fit(known, codes[:, label]).predict_proba(new)[:, 1]
        return out
    if codes.min() == codes.max():
        return None
    out[:, np.unique(codes)] = model.fit(known, codes).predict_proba(new)
    return out
