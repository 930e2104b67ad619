"""Scores of a task, as functions of row weights.

predictions → a function of row weights → {"accuracy": 0.93, …}

With weight 1 for each row it gives the scores; with the counts of rows drawn with replacement, those of a bootstrap
sample. An undefined score is NaN.
"""

import numpy as np
import pandas as pd
from sklearn import metrics as skm

from kickbert.evaluation.decisions import WeightedScores, class_decisions, label_decisions, precision_recall_f1
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.ranking import Ranking
from kickbert.evaluation.reliability import ExpectedCalibrationError, brier_scores, log_losses, top_label
from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION, SINGLE

# The scores that matter for a task, the main one first; for that one, larger is better. The others repeat these: with
# one label per row, micro-F1, micro-precision and weighted-recall are the accuracy.
SHOWN_SCORES = {
    SINGLE: ("accuracy", "macro-F1", "balanced accuracy", "ROC-AUC", "expected calibration error"),
    # The decision is the median class, which costs accuracy but reduces the distance: kappa accounts for both.
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
SECOND_SCORES = {task: names[1] for task, names in SHOWN_SCORES.items()}  # shown beside the main one for groups


def all_scores(predictions: Predictions) -> WeightedScores:
    """Choose every score that fits the task.

    Args:
        predictions: predictions with true labels.
    Returns:
        A function from row weights, shape (n,), to scores by name.
    """
    y_true = predictions.y_true
    probs = predictions.probs
    if predictions.target.is_number:
        return number_scores(*predictions.numbers)
    if predictions.target.is_multilabel:
        return label_scores(y_true, probs, predictions.y_pred)
    return class_scores(y_true, probs, predictions.y_pred, predictions.target.is_ordered)


def main_scores(predictions: Predictions, rows: np.ndarray | slice = slice(None)) -> WeightedScores:
    """Choose the scores of the decisions, `MAIN_SCORES` among them: fast enough to bootstrap many groups of rows.

    Args:
        predictions: predictions with true labels.
        rows: positions of the rows to score.
    Returns:
        A function from the weights of these rows to scores by name.
    """
    task = predictions.target.task
    if task == REGRESSION:
        y_true, y_pred = predictions.numbers
        return number_scores(y_true[rows], y_pred[rows])
    y_true = predictions.y_true[rows].astype(int)
    y_pred = predictions.y_pred[rows].astype(int)
    return label_decisions(y_true, y_pred) if task == MULTI else class_decisions(y_true, y_pred, task == ORDINAL)


def main_score(predictions: Predictions) -> float:
    """Compute the score that the task is judged by."""
    return main_scores(predictions)(np.ones(len(predictions)))[predictions.target.shown_scores[0]]


def class_scores(y_true: np.ndarray, probs: np.ndarray, y_pred: np.ndarray, ordered: bool = False) -> WeightedScores:
    """Score predictions of one class.

    Args:
        y_true: true class numbers, shape (n,).
        probs: shape (n, classes).
        y_pred: predicted class numbers, shape (n,).
        ordered: whether the classes are ranks; adds the quadratic kappa and the mean absolute error in ranks.
    """
    decisions = class_decisions(y_true, y_pred, ordered)
    ranking = Ranking(np.eye(probs.shape[1], dtype=bool)[y_true], probs)
    losses = log_losses(y_true, probs)
    squares = brier_scores(y_true, probs)
    calibration = ExpectedCalibrationError(*top_label(y_true, probs))

    def scores(weight: np.ndarray) -> dict[str, float]:
        return {
            **decisions(weight),
            **ranking.means(weight),
            "log loss": np.average(losses, weights=weight),
            "Brier score": np.average(squares, weights=weight),
            "expected calibration error": calibration(weight),
        }

    return scores


def label_scores(y_true: np.ndarray, probs: np.ndarray, y_pred: np.ndarray) -> WeightedScores:
    """Score predictions of several labels per row.

    Args:
        y_true: zeros and ones, shape (n, labels).
        probs: shape (n, labels).
        y_pred: zeros and ones, shape (n, labels).
    """
    decisions = label_decisions(y_true, y_pred)
    ranking = Ranking(y_true, probs)
    losses = log_losses(y_true, probs)
    squares = brier_scores(y_true, probs)

    def scores(weight: np.ndarray) -> dict[str, float]:
        return {
            **decisions(weight),
            **ranking.means(weight),
            "log loss": np.average(losses, weights=weight),
            "Brier score": np.average(squares, weights=weight),
        }

    return scores


def number_scores(y_true: np.ndarray, y_pred: np.ndarray) -> WeightedScores:
    """Score predictions of a number.

    Args:
        y_true: true numbers in the target's own unit, shape (n,).
        y_pred: predicted numbers, shape (n,).
    """

    def scores(weight: np.ndarray) -> dict[str, float]:
        r2 = skm.r2_score(y_true, y_pred, sample_weight=weight) if (weight > 0).sum() > 1 else np.nan
        return {
            "mean absolute error": skm.mean_absolute_error(y_true, y_pred, sample_weight=weight),
            "root mean squared error": skm.root_mean_squared_error(y_true, y_pred, sample_weight=weight),
            "R2": r2,
        }

    return scores


def per_class(y_true: np.ndarray, probs: np.ndarray, y_pred: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Score each class against the rest.

    Args:
        y_true: class numbers, shape (n,), or zeros and ones, shape (n, labels).
        probs: shape (n, classes).
        y_pred: like `y_true`.
        names: class names.
    Returns:
        class, precision, recall, F1, rows (of that true class), ROC-AUC, average precision, in the order of the
        classes.
    """
    classes = np.arange(len(names))
    true, predicted = ((y if y.ndim == 2 else y[:, None] == classes).astype(int) for y in (y_true, y_pred))
    precision, recall, f1 = precision_recall_f1((true * predicted).sum(0), true.sum(0), predicted.sum(0))
    auc, average_precision = Ranking(true, probs)(np.ones(len(true)))
    return pd.DataFrame(
        {
            "class": names,
            "precision": precision,
            "recall": recall,
            "F1": f1,
            "rows": true.sum(0),
            "ROC-AUC": auc,
            "average precision": average_precision,
        }
    )
