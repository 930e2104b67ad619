"""Scores of a learner on test rows, by what it predicts; and the linear model that several labels are held against."""

from typing import Any

import numpy as np
import pandas as pd
from sets import joined
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, mean_absolute_error

from kickbert.targets import MULTI, REGRESSION, Bins
from kickbert.tasks import fit_target


def scores(learn: Any, test: pd.DataFrame, train: pd.DataFrame) -> dict[str, float]:
    """What is measured of a task: F1 of labels; accuracy and F1 of classes; kappa and error in the unit of a number."""
    target, predicted = learn.dls.target, learn.predict_df(test)
    truth = test[learn.dls.label_col]
    if target.task == MULTI:
        codes, probs = target.encode(truth), predicted.filter(like="prob_").to_numpy()
        half = _f1(codes, probs >= 0.5)
        return _f1(codes, target.encode(predicted["labels"])) | {f"{k} at 0.5": v for k, v in half.items()}
    if target.task == REGRESSION:
        buckets = fit_target(train[learn.dls.label_col], bins=4)
        return _ordered(buckets, buckets.encode(predicted["value"]), predicted["value"], truth, train)
    codes, decided = target.encode(truth), pd.Index(target.classes).get_indexer(predicted["label"])
    if "expected" in predicted:
        return _ordered(target, decided, predicted["expected"], truth, train)
    return {"accuracy": accuracy_score(codes, decided), "macro_f1": f1_score(codes, decided, average="macro")}


def _ordered(
    buckets: Bins, decided: np.ndarray, value: pd.Series, truth: pd.Series, train: pd.DataFrame
) -> dict[str, float]:
    """Of the bucket decided, and absolute errors in dollars: of the number predicted, and of the bucket's median."""
    amounts = train[truth.name]
    median = amounts.groupby(buckets.encode(amounts)).median()
    codes = buckets.encode(truth)
    return {
        "accuracy": accuracy_score(codes, decided),
        "kappa": cohen_kappa_score(codes, decided, weights="quadratic"),
        "mae": mean_absolute_error(truth, value),
        "mae of the bucket's median": mean_absolute_error(truth, median.loc[decided]),
    }


def _f1(truth: np.ndarray, decided: np.ndarray) -> dict[str, float]:
    return {f"{how}_f1": f1_score(truth, decided, average=how, zero_division=0) for how in ("micro", "macro")}


def svm(train: pd.DataFrame, test: pd.DataFrame, columns: list[str], label_col: str, label_delim: str) -> dict:
    """One linear SVM a label on TF-IDF of words and word pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    target = fit_target(train[label_col], delim=label_delim)
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), OneVsRestClassifier(LinearSVC()))
    model.fit(joined(train, columns), target.encode(train[label_col]))
    return _f1(target.encode(test[label_col]), model.predict(joined(test, columns)))
