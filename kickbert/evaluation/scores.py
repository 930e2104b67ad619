"""Metrics of classification and regression, as functions of row weights.

    y_true, probabilities, y_pred → a function of the rows' weights → {"accuracy": 0.93, …}

With a weight of one for each row it gives the metrics; with the counts of rows drawn with replacement, those of a
bootstrap sample. All but the calibration error are scikit-learn's. What is undefined is NaN.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics as skm

from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION, SINGLE

AVERAGES = ("macro", "micro", "weighted")
BINS = 15  # of the expected calibration error (Guo et al. 2017, section 2)
LEAST = np.finfo(float).eps  # probability that the log loss takes for zero, as scikit-learn does
WeightedScores = Callable[[np.ndarray], dict[str, float]]


# The scores that a task is judged by, the main one first; of that one, larger is better. Others repeat these: where
# rows have one label each, micro-F1, micro-precision and weighted-recall are the accuracy.
SHOWN_SCORES = {
    SINGLE: ("accuracy", "macro-F1", "balanced accuracy", "ROC-AUC", "expected calibration error"),
    # Rows are decided by the median, which costs accuracy and saves distance: kappa sees both.
    ORDINAL: (
        "quadratic kappa",
        "accuracy",
        "macro-F1",
        "mean absolute error, buckets",
        "expected calibration error",
    ),
    MULTI: ("micro-F1", "macro-F1", "subset accuracy", "average precision", "Hamming loss"),
    REGRESSION: ("R2", "mean absolute error", "root mean squared error"),
}
MAIN_SCORES = {task: names[0] for task, names in SHOWN_SCORES.items()}
# What stands beside it where groups of rows are compared.
SECOND_SCORES = {task: names[1] for task, names in SHOWN_SCORES.items()}


class Ranking:
    """ROC-AUC and average precision of columns of scores, which are sorted once for all weights.

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
        """ROC-AUC and average precision of each column.

        Args:
            weight: of each row, shape (n,).
        Returns:
            Two arrays, each of shape (columns,); NaN where positives or negatives are lacking.
        """
        pairs = [self._column(i, weight[self.order[:, i]]) for i in range(self.order.shape[1])]
        return tuple(np.array(pairs).reshape(-1, 2).T)

    def _column(self, i: int, weight: np.ndarray) -> tuple[float, float]:
        positive, last = self.y_true[:, i], self.last[:, i]
        true_positives = np.concatenate([[0.0], np.cumsum(weight * positive)[last]])
        false_positives = np.concatenate([[0.0], np.cumsum(weight * ~positive)[last]])
        positives, negatives = true_positives[-1], false_positives[-1]
        if not positives or not negatives:
            return np.nan, np.nan
        auc = np.trapezoid(true_positives, false_positives) / (positives * negatives)
        precision = true_positives[1:] / np.maximum(true_positives[1:] + false_positives[1:], 1e-12)
        return auc, (np.diff(true_positives) * precision).sum() / positives


def class_scores(y_true: np.ndarray, probs: np.ndarray, y_pred: np.ndarray, ordered: bool = False) -> WeightedScores:
    """Metrics of exclusive classes.

    Args:
        y_true: class numbers, shape (n,).
        probs: shape (n, classes).
        y_pred: class numbers, shape (n,).
        ordered: whether the classes are ranks; adds the quadratic kappa and the mean absolute error in ranks.
    """
    # scikit-learn gets each pair of true and predicted class once, with its weight: a sample costs no pass over rows.
    pairs, cell = np.unique(np.stack([y_true, y_pred], 1), axis=0, return_inverse=True)
    one_hot = np.eye(probs.shape[1], dtype=bool)[y_true]
    ranking = Ranking(one_hot, probs)
    calibration = ExpectedCalibrationError(*top_label(y_true, probs))
    log_losses = -np.log(np.clip(probs[np.arange(len(y_true)), y_true], LEAST, 1))
    # Of two classes scikit-learn counts one, of more all.
    squares = ((probs - one_hot) ** 2).sum(1) / (2 if probs.shape[1] == 2 else 1)

    def scores(weight: np.ndarray) -> dict[str, float]:
        counts = np.bincount(cell.ravel(), weights=weight, minlength=len(pairs))
        present = counts > 0
        return {
            **_decision_scores(pairs[present, 0], pairs[present, 1], counts[present], ordered),
            **_ranking_scores(ranking, weight),
            "log loss": np.average(log_losses, weights=weight),
            "Brier score": np.average(squares, weights=weight),
            "expected calibration error": calibration(weight),
        }

    return scores


def _decision_scores(y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray, ordered: bool) -> dict[str, float]:
    weights: dict[str, Any] = {"sample_weight": weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are never predicted, which the scores say anyway
        out = {
            "accuracy": skm.accuracy_score(y_true, y_pred, **weights),
            "balanced accuracy": skm.balanced_accuracy_score(y_true, y_pred, **weights),
            **_precision_recall(y_true, y_pred, weight),
            "MCC": skm.matthews_corrcoef(y_true, y_pred, **weights),
        }
        if ordered:
            out["quadratic kappa"] = skm.cohen_kappa_score(y_true, y_pred, weights="quadratic", **weights)
            out["mean absolute error, buckets"] = np.average(np.abs(y_true - y_pred), weights=weight)
    return out


def _precision_recall(y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    out, options = {}, {"zero_division": 0, "sample_weight": weight, "labels": _positive_label(y_true)}
    for average in AVERAGES:
        values = skm.precision_recall_fscore_support(y_true, y_pred, average=average, **options)
        out |= {f"{average}-{name}": v for name, v in zip(("precision", "recall", "F1"), values[:3], strict=True)}
    return out


def _positive_label(y_true: np.ndarray) -> list[int] | None:
    """A single column of zeros and ones is two classes to scikit-learn, of which the ones are meant here."""
    return [1] if y_true.ndim == 2 and y_true.shape[1] == 1 else None


def _ranking_scores(ranking: Ranking, weight: np.ndarray) -> dict[str, float]:
    auc, average_precision = ranking(weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no class has both positives and negatives
        return {"ROC-AUC": np.nanmean(auc), "average precision": np.nanmean(average_precision)}


def top_label(y_true: np.ndarray, probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidence of the likeliest class, and whether it is the true one; of several labels, of each yes or no.

    Args:
        y_true: class numbers, shape (n,), or zeros and ones, shape (n, labels).
        probs: shape (n, classes).
    Returns:
        Confidence and a bool, each of shape (n,), or (n * labels,).
    """
    if y_true.ndim == 2:
        return np.maximum(probs, 1 - probs).ravel(), ((probs >= 0.5) == (y_true > 0.5)).ravel()
    return probs.max(1), probs.argmax(1) == y_true


class ExpectedCalibrationError:
    """Expected calibration error: |accuracy - confidence|, mean over bins of confidence (Guo et al. 2017, section 2).

    Args:
        confidence, right: of `top_label`, shape (n,).
    """

    def __init__(self, confidence: np.ndarray, right: np.ndarray):
        self.bin = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        self.confidence, self.right = confidence, right.astype(float)

    def __call__(self, weight: np.ndarray) -> float:
        """The error, 0 to 1.

        Args:
            weight: of each row, shape (n,).
        """
        gap = np.bincount(self.bin, weights=weight * (self.confidence - self.right), minlength=BINS)
        return float(np.abs(gap).sum() / weight.sum())


def label_scores(y_true: np.ndarray, probs: np.ndarray, y_pred: np.ndarray) -> WeightedScores:
    """Metrics of several labels a row.

    Args:
        y_true, y_pred: zeros and ones, shape (n, labels).
        probs: shape (n, labels).
    """
    y_true, y_pred = y_true.astype(int), y_pred.astype(int)
    ranking = Ranking(y_true, probs)
    clipped = np.clip(probs, LEAST, 1 - LEAST)
    log_losses = -(y_true * np.log(clipped) + (1 - y_true) * np.log1p(-clipped)).mean(1)
    squares, share_wrong = ((probs - y_true) ** 2).mean(1), (y_true != y_pred).mean(1)

    def scores(weight: np.ndarray) -> dict[str, float]:
        return {
            "subset accuracy": np.average(share_wrong == 0, weights=weight),
            "Hamming loss": np.average(share_wrong, weights=weight),
            **_precision_recall(y_true, y_pred, weight),
            **_ranking_scores(ranking, weight),
            "log loss": np.average(log_losses, weights=weight),
            "Brier score": np.average(squares, weights=weight),
        }

    return scores


def count_scores(task: str, y_true: np.ndarray, y_pred: np.ndarray, classes: int) -> WeightedScores:
    """The main scores of classes or labels from counts alone: cheap enough for the bootstrap of many groups of rows.

    Args:
        task: of classes, ordered classes or several labels.
        y_true, y_pred: class numbers, shape (n,), or zeros and ones, shape (n, classes).
    """
    hits = y_true * y_pred
    squares = np.subtract.outer(np.arange(classes), np.arange(classes)) ** 2

    def of_labels(weight: np.ndarray) -> dict[str, float]:
        right, both = weight @ hits, weight @ y_true + weight @ y_pred
        return {"micro-F1": _f1(right.sum(), both.sum()), "macro-F1": _f1(right, both).mean()}

    def of_classes(weight: np.ndarray) -> dict[str, float]:
        counts = np.bincount(y_true * classes + y_pred, weights=weight, minlength=classes**2).reshape(classes, classes)
        true, predicted = counts.sum(1), counts.sum(0)
        there = true + predicted > 0
        by_chance = (squares * np.outer(true, predicted)).sum() / weight.sum()
        return {
            "accuracy": counts.trace() / weight.sum(),
            "macro-F1": _f1(counts.diagonal(), true + predicted)[there].mean(),
            "quadratic kappa": 1 - (squares * counts).sum() / by_chance if by_chance else np.nan,
        }

    return of_labels if task == MULTI else of_classes


def _f1(hits: np.ndarray, both: np.ndarray) -> np.ndarray:
    """2 hits / (true + predicted), zero where there are neither."""
    return 2 * hits / np.maximum(both, 1e-12)


def number_scores(y_true: np.ndarray, y_pred: np.ndarray) -> WeightedScores:
    """Metrics of regression.

    Args:
        y_true, y_pred: in the target's own unit, shape (n,).
    """

    def scores(weight: np.ndarray) -> dict[str, float]:
        weights = {"sample_weight": weight}
        return {
            "mean absolute error": skm.mean_absolute_error(y_true, y_pred, **weights),
            "root mean squared error": skm.root_mean_squared_error(y_true, y_pred, **weights),
            "R2": skm.r2_score(y_true, y_pred, **weights) if (weight > 0).sum() > 1 else np.nan,
        }

    return scores


def per_class(y_true: np.ndarray, probs: np.ndarray, y_pred: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Metrics of each class against the rest.

    Args:
        y_true, y_pred: class numbers, shape (n,), or zeros and ones, shape (n, labels).
        probs: shape (n, classes).
        names: of the classes.
    Returns:
        class, precision, recall, F1, rows (of that true class), ROC-AUC, average precision, in the classes' order.
    """
    classes = np.arange(len(names))
    true, predicted = ((y if y.ndim == 2 else y[:, None] == classes).astype(int) for y in (y_true, y_pred))
    columns = skm.precision_recall_fscore_support(true, predicted, zero_division=0, labels=_positive_label(true))
    out = pd.DataFrame(dict(zip(("precision", "recall", "F1", "rows"), columns, strict=True)), index=names)
    out["ROC-AUC"], out["average precision"] = Ranking(true, probs)(np.ones(len(true)))
    return out.rename_axis("class").reset_index()
