"""Scores of predictions: what is true, probabilities and decisions become numbers.

    y_true, probabilities, decisions → a function of the rows' weights → {"accuracy": 0.93, …}

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
WeightedScores = Callable[[np.ndarray], dict[str, float]]


# The score that a task is judged by first; of each, larger is better.
MAIN_SCORES = {SINGLE: "accuracy", ORDINAL: "accuracy", MULTI: "F1, micro", REGRESSION: "R2"}


class Ranking:
    """ROC-AUC and average precision of columns of scores, sorted once for all weights.

    Args:
        y_true: bool, shape (n, columns).
        scores: shape (n, columns).
    """

    def __init__(self, y_true: np.ndarray, scores: np.ndarray):
        self.order = np.argsort(-scores, axis=0, kind="stable")
        ranked = np.take_along_axis(scores, self.order, 0)
        self.y_true = np.take_along_axis(y_true.astype(bool), self.order, 0)
        # A threshold cannot part equal scores, so only the last of them is a point of the curve.
        self.last = np.append(ranked[1:] < ranked[:-1], np.ones((1, scores.shape[1]), bool), axis=0)

    def __call__(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ROC-AUC and average precision of each column, NaN where one kind of row is lacking: shapes (columns,)."""
        found = [self._column(i, weight[self.order[:, i]]) for i in range(self.order.shape[1])]
        return tuple(np.array(found).reshape(-1, 2).T)

    def _column(self, i: int, weight: np.ndarray) -> tuple[float, float]:
        true, last = self.y_true[:, i], self.last[:, i]
        hits = np.concatenate([[0.0], np.cumsum(weight * true)[last]])
        alarms = np.concatenate([[0.0], np.cumsum(weight * ~true)[last]])
        auc = np.trapezoid(hits, alarms) / (hits[-1] * alarms[-1]) if hits[-1] and alarms[-1] else np.nan
        precision = hits[1:] / np.maximum(hits[1:] + alarms[1:], 1e-12)
        ap = (np.diff(hits) * precision).sum() / hits[-1] if hits[-1] and alarms[-1] else np.nan
        return auc, ap


def class_scores(y_true: np.ndarray, probs: np.ndarray, y_pred: np.ndarray, ordered: bool = False) -> WeightedScores:
    """Scores of exclusive classes.

    Args:
        y_true: class numbers, shape (n,).
        probs: shape (n, classes).
        y_pred: class numbers, shape (n,).
        ordered: whether the classes are ranks.
    """
    # scikit-learn gets each pair of true and predicted class once, with its weight: a sample costs no pass over rows.
    pairs, cell = np.unique(np.stack([y_true, y_pred], 1), axis=0, return_inverse=True)
    hot = np.eye(probs.shape[1], dtype=bool)[y_true]
    ranking, calibration = Ranking(hot, probs), ExpectedCalibrationError(probs.max(1), probs.argmax(1) == y_true)
    logs = -np.log(np.clip(probs[np.arange(len(y_true)), y_true], LEAST, 1))
    # Of two classes scikit-learn counts one, of more all.
    squares = ((probs - hot) ** 2).sum(1) / (2 if probs.shape[1] == 2 else 1)

    def scores(weight: np.ndarray) -> dict[str, float]:
        counts = np.bincount(cell.ravel(), weights=weight, minlength=len(pairs))
        there = counts > 0
        out = _decisions(pairs[there, 0], pairs[there, 1], counts[there], ordered)
        out |= _ranked(ranking, weight)
        return out | {
            "log loss": np.average(logs, weights=weight),
            "Brier score": np.average(squares, weights=weight),
            "expected calibration error": calibration(weight),
        }

    return scores


def _decisions(y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray, ordered: bool) -> dict[str, float]:
    given: dict[str, Any] = {"sample_weight": weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are never predicted, which the scores say anyway
        out = {
            "accuracy": skm.accuracy_score(y_true, y_pred, **given),
            "balanced accuracy": skm.balanced_accuracy_score(y_true, y_pred, **given),
            **_precision_recall(y_true, y_pred, weight),
            "MCC": skm.matthews_corrcoef(y_true, y_pred, **given),
        }
        if ordered:
            out["quadratic kappa"] = skm.cohen_kappa_score(y_true, y_pred, weights="quadratic", **given)
            out["mean absolute error, buckets"] = np.average(np.abs(y_true - y_pred), weights=weight)
    return out


def _precision_recall(y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    out, given = {}, {"zero_division": 0, "sample_weight": weight, "labels": _counted(y_true)}
    for how in AVERAGES:
        found = skm.precision_recall_fscore_support(y_true, y_pred, average=how, **given)
        out |= {f"{name}, {how}": v for name, v in zip(("precision", "recall", "F1"), found[:3], strict=True)}
    return out


def _counted(y_true: np.ndarray) -> list[int] | None:
    """A single column of zeros and ones is two classes to scikit-learn, of which the ones are meant here."""
    return [1] if y_true.ndim == 2 and y_true.shape[1] == 1 else None


def _ranked(ranking: Ranking, weight: np.ndarray) -> dict[str, float]:
    auc, ap = ranking(weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no class has both kinds of row
        return {"ROC-AUC, macro": np.nanmean(auc), "average precision, macro": np.nanmean(ap)}


class ExpectedCalibrationError:
    """Expected calibration error: how far confidence is from accuracy, mean over bins of confidence.

    Args:
        confidence: of the decision, shape (n,).
        right: bool, shape (n,).
    """

    def __init__(self, confidence: np.ndarray, right: np.ndarray):
        self.bin = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        self.confidence, self.right = confidence, right.astype(float)

    def __call__(self, weight: np.ndarray) -> float:
        """The error under weights of the rows."""
        gap = np.bincount(self.bin, weights=weight * (self.confidence - self.right), minlength=BINS)
        return float(np.abs(gap).sum() / weight.sum())


def label_scores(y_true: np.ndarray, probs: np.ndarray, y_pred: np.ndarray) -> WeightedScores:
    """Scores of several labels a row.

    Args:
        y_true, y_pred: zeros and ones, shape (n, labels).
        probs: shape (n, labels).
    """
    y_true, y_pred = y_true.astype(int), y_pred.astype(int)
    ranking = Ranking(y_true, probs)
    sure = np.clip(probs, LEAST, 1 - LEAST)
    logs = -(y_true * np.log(sure) + (1 - y_true) * np.log1p(-sure)).mean(1)
    squares, wrong = ((probs - y_true) ** 2).mean(1), (y_true != y_pred).mean(1)

    def scores(weight: np.ndarray) -> dict[str, float]:
        return {
            "subset accuracy": np.average(wrong == 0, weights=weight),
            "Hamming loss": np.average(wrong, weights=weight),
            **_precision_recall(y_true, y_pred, weight),
            **_ranked(ranking, weight),
            "log loss": np.average(logs, weights=weight),
            "Brier score": np.average(squares, weights=weight),
        }

    return scores


def number_scores(y_true: np.ndarray, value: np.ndarray) -> WeightedScores:
    """Scores of numbers, in their own unit."""

    def scores(weight: np.ndarray) -> dict[str, float]:
        given = {"sample_weight": weight}
        return {
            "mean absolute error": skm.mean_absolute_error(y_true, value, **given),
            "root mean squared error": skm.root_mean_squared_error(y_true, value, **given),
            "R2": skm.r2_score(y_true, value, **given) if (weight > 0).sum() > 1 else np.nan,
        }

    return scores


def per_class(y_true: np.ndarray, probs: np.ndarray, y_pred: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Precision, recall, F1, rows, ROC-AUC and average precision of each class, in the classes' order.

    Args:
        y_true, y_pred: class numbers, shape (n,), or zeros and ones, shape (n, labels).
    """
    classes = np.arange(len(names))
    hot = y_true.astype(bool) if y_true.ndim == 2 else y_true[:, None] == classes
    said = y_pred.astype(bool) if y_pred.ndim == 2 else y_pred[:, None] == classes
    hot, said = hot.astype(int), said.astype(int)
    found = skm.precision_recall_fscore_support(hot, said, zero_division=0, labels=_counted(hot))
    out = pd.DataFrame(dict(zip(("precision", "recall", "F1", "rows"), found, strict=True)), index=names)
    out["ROC-AUC"], out["average precision"] = Ranking(hot, probs)(np.ones(len(hot)))
    return out.rename_axis("class").reset_index()
