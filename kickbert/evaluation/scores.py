"""Scores of predictions: what is true, probabilities and decisions become numbers.

    truth, probabilities, decisions → a function of the rows' weights → {"accuracy": 0.93, …}

With a weight of one for each row it gives the scores; with the counts of rows drawn with replacement, those of a
bootstrap sample. What is undefined is NaN.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics as skm

from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION, SINGLE

AVERAGES = ("macro", "micro", "weighted")
BINS = 15  # of the calibration error (Guo et al. 2017, section 2)
LEAST = np.finfo(float).eps  # probability that the log loss takes for zero, as scikit-learn does
Weighed = Callable[[np.ndarray], dict[str, float]]


# The score that a task is judged by first; of each, larger is better.
MAIN_SCORES = {SINGLE: "accuracy", ORDINAL: "accuracy", MULTI: "F1, micro", REGRESSION: "R2"}


class Ranking:
    """ROC-AUC and average precision of columns of scores, sorted once for all weights.

    Args:
        truth: bool, shape (n, columns).
        scores: shape (n, columns).
    """

    def __init__(self, truth: np.ndarray, scores: np.ndarray):
        self.order = np.argsort(-scores, axis=0, kind="stable")
        ranked = np.take_along_axis(scores, self.order, 0)
        self.truth = np.take_along_axis(truth.astype(bool), self.order, 0)
        # A threshold cannot part equal scores, so only the last of them is a point of the curve.
        self.last = np.append(ranked[1:] < ranked[:-1], np.ones((1, scores.shape[1]), bool), axis=0)

    def __call__(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ROC-AUC and average precision of each column, NaN where one kind of row is lacking: shapes (columns,)."""
        found = [self._column(i, weight[self.order[:, i]]) for i in range(self.order.shape[1])]
        return tuple(np.array(found).reshape(-1, 2).T)

    def _column(self, i: int, weight: np.ndarray) -> tuple[float, float]:
        true, last = self.truth[:, i], self.last[:, i]
        hits = np.concatenate([[0.0], np.cumsum(weight * true)[last]])
        alarms = np.concatenate([[0.0], np.cumsum(weight * ~true)[last]])
        auc = np.trapezoid(hits, alarms) / (hits[-1] * alarms[-1]) if hits[-1] and alarms[-1] else np.nan
        precision = hits[1:] / np.maximum(hits[1:] + alarms[1:], 1e-12)
        ap = (np.diff(hits) * precision).sum() / hits[-1] if hits[-1] and alarms[-1] else np.nan
        return auc, ap


def class_scores(truth: np.ndarray, probs: np.ndarray, decided: np.ndarray, ordered: bool = False) -> Weighed:
    """Scores of exclusive classes.

    Args:
        truth: class numbers, shape (n,).
        probs: shape (n, classes).
        decided: class numbers, shape (n,).
        ordered: whether the classes are ranks.
    """
    # scikit-learn is given each pair of true and decided class once, with its weight: a sample costs no pass over rows.
    pairs, cell = np.unique(np.stack([truth, decided], 1), axis=0, return_inverse=True)
    hot = np.eye(probs.shape[1], dtype=bool)[truth]
    ranking, calibration = Ranking(hot, probs), ExpectedCalibrationError(probs.max(1), probs.argmax(1) == truth)
    logs = -np.log(np.clip(probs[np.arange(len(truth)), truth], LEAST, 1))
    # Of two classes scikit-learn counts one, of more all.
    squares = ((probs - hot) ** 2).sum(1) / (2 if probs.shape[1] == 2 else 1)

    def scores(weight: np.ndarray) -> dict[str, float]:
        counts = np.bincount(cell.ravel(), weights=weight, minlength=len(pairs))
        there = counts > 0
        out = _decisions(pairs[there, 0], pairs[there, 1], counts[there], ordered)
        out |= _ranked(ranking, weight)
        return out | {
            "log loss": np.average(logs, weights=weight),
            "Brier": np.average(squares, weights=weight),
            "calibration error": calibration(weight),
        }

    return scores


def _decisions(truth: np.ndarray, decided: np.ndarray, weight: np.ndarray, ordered: bool) -> dict[str, float]:
    given: dict[str, Any] = {"sample_weight": weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are never decided, which the scores say anyway
        out = {
            "accuracy": skm.accuracy_score(truth, decided, **given),
            "balanced accuracy": skm.balanced_accuracy_score(truth, decided, **given),
            **_precision_recall(truth, decided, weight),
            "MCC": skm.matthews_corrcoef(truth, decided, **given),
        }
        if ordered:
            out["quadratic kappa"] = skm.cohen_kappa_score(truth, decided, weights="quadratic", **given)
            out["mean absolute error, buckets"] = np.average(np.abs(truth - decided), weights=weight)
    return out


def _precision_recall(truth: np.ndarray, decided: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    out, given = {}, {"zero_division": 0, "sample_weight": weight, "labels": _counted(truth)}
    for how in AVERAGES:
        found = skm.precision_recall_fscore_support(truth, decided, average=how, **given)
        out |= {f"{name}, {how}": v for name, v in zip(("precision", "recall", "F1"), found[:3], strict=True)}
    return out


def _counted(truth: np.ndarray) -> list[int] | None:
    """A single column of zeros and ones is two classes to scikit-learn, of which the ones are meant here."""
    return [1] if truth.ndim == 2 and truth.shape[1] == 1 else None


def _ranked(ranking: Ranking, weight: np.ndarray) -> dict[str, float]:
    auc, ap = ranking(weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no class has both kinds of row
        return {"ROC-AUC, macro": np.nanmean(auc), "average precision, macro": np.nanmean(ap)}


class ExpectedCalibrationError:
    """Expected calibration error: how far confidence is from accuracy, mean over bins of confidence.

    Args:
        confidence: of what was decided, shape (n,).
        right: bool, shape (n,).
    """

    def __init__(self, confidence: np.ndarray, right: np.ndarray):
        self.bin = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        self.confidence, self.right = confidence, right.astype(float)

    def __call__(self, weight: np.ndarray) -> float:
        """The error under weights of the rows."""
        gap = np.bincount(self.bin, weights=weight * (self.confidence - self.right), minlength=BINS)
        return float(np.abs(gap).sum() / weight.sum())


def label_scores(truth: np.ndarray, probs: np.ndarray, decided: np.ndarray) -> Weighed:
    """Scores of several labels a row.

    Args:
        truth, decided: zeros and ones, shape (n, labels).
        probs: shape (n, labels).
    """
    truth, decided = truth.astype(int), decided.astype(int)
    ranking = Ranking(truth, probs)
    sure = np.clip(probs, LEAST, 1 - LEAST)
    logs = -(truth * np.log(sure) + (1 - truth) * np.log1p(-sure)).mean(1)
    squares, wrong = ((probs - truth) ** 2).mean(1), (truth != decided).mean(1)

    def scores(weight: np.ndarray) -> dict[str, float]:
        return {
            "all labels right": np.average(wrong == 0, weights=weight),
            "Hamming loss": np.average(wrong, weights=weight),
            **_precision_recall(truth, decided, weight),
            **_ranked(ranking, weight),
            "log loss": np.average(logs, weights=weight),
            "Brier": np.average(squares, weights=weight),
        }

    return scores


def number_scores(truth: np.ndarray, value: np.ndarray) -> Weighed:
    """Scores of numbers, in their own unit."""

    def scores(weight: np.ndarray) -> dict[str, float]:
        given = {"sample_weight": weight}
        return {
            "mean absolute error": skm.mean_absolute_error(truth, value, **given),
            "root mean squared error": skm.root_mean_squared_error(truth, value, **given),
            "R2": skm.r2_score(truth, value, **given) if (weight > 0).sum() > 1 else np.nan,
        }

    return scores


def per_class(truth: np.ndarray, probs: np.ndarray, decided: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Precision, recall, F1, rows, ROC-AUC and average precision of each class, in the classes' order.

    Args:
        truth, decided: class numbers, shape (n,), or zeros and ones, shape (n, labels).
    """
    classes = np.arange(len(names))
    hot = truth.astype(bool) if truth.ndim == 2 else truth[:, None] == classes
    said = decided.astype(bool) if decided.ndim == 2 else decided[:, None] == classes
    hot, said = hot.astype(int), said.astype(int)
    found = skm.precision_recall_fscore_support(hot, said, zero_division=0, labels=_counted(hot))
    out = pd.DataFrame(dict(zip(("precision", "recall", "F1", "rows"), found, strict=True)), index=names)
    out["ROC-AUC"], out["average precision"] = Ranking(hot, probs)(np.ones(len(hot)))
    return out.rename_axis("class").reset_index()
