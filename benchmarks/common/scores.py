"""Scores of a learner on test rows by task, and the linear baseline for several labels."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from common.sets import joined
from scipy.special import expit
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, mean_absolute_error
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from kickbert.targets.bins import Bins
from kickbert.targets.fitting import fit_target
from kickbert.targets.thresholds import best_thresholds
from kickbert.text.word_statistics import tfidf_vectorizer


def scores(learn: Any, test: pd.DataFrame, train: pd.DataFrame) -> dict[str, float]:
    """Scores by task: F1 of labels; accuracy and F1 of classes; kappa and error in the target's unit."""
    target, predicted = learn.dls.target, learn.predict_df(test)
    truth = test[learn.dls.label_col]
    if target.is_multilabel:
        codes, probs = target.encode(truth), predicted.filter(like="prob_").to_numpy()
        return _tuned_and_half(codes, target.encode(predicted["predicted_label"]), probs)
    if target.is_number:
        buckets = fit_target(train[learn.dls.label_col], bins=4)
        return _ordered(
            buckets, buckets.encode(predicted["predicted_label"]), predicted["predicted_label"], truth, train
        )
    codes, decided = target.encode(truth), pd.Index(target.classes).get_indexer(predicted["predicted_label"])
    if "expected" in predicted:
        return _ordered(target, decided, predicted["expected"], truth, train)
    return {"accuracy": accuracy_score(codes, decided), "macro_f1": f1_score(codes, decided, average="macro")}


def _ordered(
    buckets: Bins, decided: np.ndarray, value: pd.Series, truth: pd.Series, train: pd.DataFrame
) -> dict[str, float]:
    """Scores of the predicted bucket, and errors in dollars of the predicted number and of the bucket's median."""
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


def _tuned_and_half(truth: np.ndarray, decided: np.ndarray, probs: np.ndarray) -> dict[str, float]:
    """F1 with tuned thresholds, and with thresholds of 0.5."""
    return _f1(truth, decided) | {f"{name} at 0.5": f1 for name, f1 in _f1(truth, probs >= 0.5).items()}


def svm(
    train: pd.DataFrame, valid: pd.DataFrame, test: pd.DataFrame, columns: list[str], label_col: str, label_delim: str
) -> dict[str, Any]:
    """One linear SVM per label on TF-IDF; settings and thresholds have the largest macro-F1 on validation rows."""
    target, tried = fit_target(train[label_col], delim=label_delim), []
    codes = [target.encode(part[label_col]) for part in (train, valid, test)]
    texts = [joined(part, columns) for part in (train, valid, test)]
    for words in (1, 2):
        table = tfidf_vectorizer(len(train)).set_params(ngram_range=(1, words))
        rows = [table.fit_transform(texts[0]), table.transform(texts[1])]
        for c, weight in product((0.3, 1, 10), (None, "balanced")):
            model = OneVsRestClassifier(LinearSVC(C=c, class_weight=weight)).fit(rows[0], codes[0])
            probs = expit(model.decision_function(rows[1]))
            thresh = best_thresholds(probs, codes[1])
            chosen = {"words": words, "C": c, "class_weight": weight}
            tried.append((_f1(codes[1], probs >= thresh)["macro_f1"], table, model, thresh, chosen))
    _, table, model, thresh, chosen = max(tried, key=lambda t: t[0])
    probs = expit(model.decision_function(table.transform(texts[2])))
    return _tuned_and_half(codes[2], probs >= thresh, probs) | chosen
