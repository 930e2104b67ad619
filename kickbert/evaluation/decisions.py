"""Metrics of decisions: accuracy, precision, recall, F1, MCC and kappa, computed from counts.

true and predicted classes → a function of row weights → {"accuracy": 0.93, …}

The weights are counted by class once per call, so a bootstrap sample needs no pass over the rows in scikit-learn.
"""

from collections.abc import Callable

import numpy as np

AVERAGES = ("macro", "micro", "weighted")
TINY = 1e-12  # avoids a division by zero: 0 / 0 counts as 0
WeightedScores = Callable[[np.ndarray], dict[str, float]]


def precision_recall_f1(
    hits: np.ndarray, true: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute precision, recall and F1 from counts; 0 where there is nothing to divide by.

    Args:
        hits: correctly predicted rows of each class, shape (classes,).
        true: rows of each true class.
        predicted: rows of each predicted class.

    >>> precision_recall_f1(np.array([2.0]), np.array([4.0]), np.array([2.0]))
    (array([1.]), array([0.5]), array([0.66666667]))
    """
    precision = hits / np.maximum(predicted, TINY)
    recall = hits / np.maximum(true, TINY)
    return precision, recall, 2 * hits / np.maximum(true + predicted, TINY)


def averaged_scores(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Average precision, recall and F1 over classes.

    Args:
        hits, true, predicted: counts by class, shape (classes,).
    Returns:
        macro (plain mean), micro (from the sums of the counts) and weighted (by true rows) scores by name.
    """
    by_class = precision_recall_f1(hits, true, predicted)
    pooled = precision_recall_f1(hits.sum(), true.sum(), predicted.sum())
    share = true / max(true.sum(), TINY)
    values = {
        "macro": [scores.mean() for scores in by_class],
        "micro": pooled,
        "weighted": [share @ scores for scores in by_class],
    }
    names = ("precision", "recall", "F1")
    return {f"{kind}-{name}": float(v) for kind in AVERAGES for name, v in zip(names, values[kind], strict=True)}


def class_decisions(y_true: np.ndarray, y_pred: np.ndarray, ordered: bool = False) -> WeightedScores:
    """Score decisions for one class.

    Args:
        y_true: true class numbers, shape (n,).
        y_pred: predicted class numbers, shape (n,).
        ordered: whether the classes are ranks; adds the quadratic kappa and the mean absolute error in ranks.
    """
    pairs, pair_of_row = np.unique(np.stack([y_true, y_pred], 1), axis=0, return_inverse=True)
    true_class, predicted_class = pairs.T
    errors = np.abs(true_class - predicted_class)
    classes = int(pairs.max()) + 1

    def scores(weight: np.ndarray) -> dict[str, float]:
        counts = np.bincount(pair_of_row.ravel(), weight, len(pairs))
        hits = np.bincount(true_class, counts * (errors == 0), classes)
        true = np.bincount(true_class, counts, classes)
        predicted = np.bincount(predicted_class, counts, classes)
        present = true + predicted > 0
        out = {
            "accuracy": hits.sum() / counts.sum(),
            "balanced accuracy": (hits[true > 0] / true[true > 0]).mean(),
            **averaged_scores(hits[present], true[present], predicted[present]),
            "MCC": _matthews(hits, true, predicted),
        }
        if ordered:
            out["quadratic kappa"] = _quadratic_kappa(counts @ errors**2, true, predicted)
            out["mean absolute error, buckets"] = counts @ errors / counts.sum()
        return out

    return scores


def _matthews(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> float:
    """Matthews correlation coefficient of several classes (Gorodkin 2004, equation 8)."""
    rows = true.sum()
    spread = (rows**2 - true @ true) * (rows**2 - predicted @ predicted)
    return float((rows * hits.sum() - true @ predicted) / np.sqrt(spread)) if spread > 0 else 0.0


def _quadratic_kappa(squared_errors: float, true: np.ndarray, predicted: np.ndarray) -> float:
    """Cohen's kappa with quadratic weights (Cohen 1968); NaN if all rows have the same class."""
    ranks = np.arange(len(true))
    of_both = (true + predicted) @ ranks**2
    by_chance = of_both - 2 * (true @ ranks) * (predicted @ ranks) / true.sum()
    return float(1 - squared_errors / by_chance) if by_chance > 0 else np.nan


def label_decisions(y_true: np.ndarray, y_pred: np.ndarray) -> WeightedScores:
    """Score decisions for several labels per row.

    Args:
        y_true: zeros and ones, shape (n, labels).
        y_pred: zeros and ones, shape (n, labels).
    """
    true = y_true.astype(float)
    predicted = y_pred.astype(float)
    hits = true * predicted
    share_wrong = (true != predicted).mean(1)

    def scores(weight: np.ndarray) -> dict[str, float]:
        return {
            "subset accuracy": weight @ (share_wrong == 0) / weight.sum(),
            "Hamming loss": weight @ share_wrong / weight.sum(),
            **averaged_scores(weight @ hits, weight @ true, weight @ predicted),
        }

    return scores
