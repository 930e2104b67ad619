"""Scores of a task, as functions of row weights.

predictions → a function of row weights → {"accuracy": 0.93, …}

With weight 1 for each row it gives the scores; with the counts of rows drawn with replacement, those of a bootstrap
sample. An undefined score is NaN.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn import metrics as skm

from kickbert.evaluation.decisions import WeightedScores, class_decisions, label_decisions, precision_recall_f1
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.ranking import Ranking
from kickbert.evaluation.reliability import ExpectedCalibrationError, brier_scores, log_losses, top_label
from kickbert.targets.base import Target, for_target
from kickbert.targets.continuous import Continuous
from kickbert.targets.labels import Labels
from kickbert.targets.multi_labels import MultiLabels


def all_scores(predictions: Predictions) -> WeightedScores:
    """Choose every score that fits the target.

    Args:
        predictions: predictions with true labels.
    Returns:
        A function from row weights, shape (n,), to scores by name.
    """
    return for_target(ALL_SCORES, predictions.target)(predictions)


def main_scores(predictions: Predictions, rows: np.ndarray | slice = slice(None)) -> WeightedScores:
    """Choose the scores of the decisions, the main one among them: fast enough to bootstrap many groups of rows.

    Args:
        predictions: predictions with true labels.
        rows: positions of the rows to score.
    Returns:
        A function from the weights of these rows to scores by name.
    """
    return for_target(DECISION_SCORES, predictions.target)(predictions, rows)


def main_score(predictions: Predictions) -> float:
    """Compute the score that the target is judged by."""
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


def _row_scores(predictions: Predictions, rows: np.ndarray | slice = slice(None)) -> WeightedScores:
    """Average the target's own row scores, for a kind of target that is not in the tables below."""
    target = predictions.target
    scores = target.row_scores(predictions.labels[rows], predictions.y_pred[rows])
    return lambda weight: {target.shown_scores[0]: float(np.average(scores, weights=weight))}


def _number_scores(predictions: Predictions, rows: np.ndarray | slice = slice(None)) -> WeightedScores:
    y_true, y_pred = predictions.numbers
    return number_scores(y_true[rows], y_pred[rows])


def _class_decisions(predictions: Predictions, rows: np.ndarray | slice = slice(None)) -> WeightedScores:
    y_true, y_pred = (codes[rows].astype(int) for codes in (predictions.labels, predictions.y_pred))
    return class_decisions(y_true, y_pred, predictions.target.is_ordered)


def _label_decisions(predictions: Predictions, rows: np.ndarray | slice = slice(None)) -> WeightedScores:
    return label_decisions(predictions.labels[rows].astype(int), predictions.y_pred[rows].astype(int))


ALL_SCORES: dict[type[Target], Callable[[Predictions], WeightedScores]] = {
    Target: _row_scores,  # type: ignore[type-abstract]
    Labels: lambda p: class_scores(p.labels, p.probs, p.y_pred, p.target.is_ordered),
    MultiLabels: lambda p: label_scores(p.labels, p.probs, p.y_pred),
    Continuous: _number_scores,
}
DECISION_SCORES: dict[type[Target], Callable[[Predictions, np.ndarray | slice], WeightedScores]] = {
    Target: _row_scores,  # type: ignore[type-abstract]
    Labels: _class_decisions,
    MultiLabels: _label_decisions,
    Continuous: _number_scores,
}
