"""Selective prediction: a label only for rows where the model is confident enough."""

import numpy as np
import pandas as pd

from kickbert.evaluation.predictions import Predictions


def coverage(predictions: Predictions, thresholds: np.ndarray | None = None) -> pd.DataFrame:
    """Compute coverage and accuracy if rows below a confidence get no label (El-Yaniv and Wiener 2010).

    Args:
        predictions: predictions with true labels.
        thresholds: confidence thresholds; None for twenty that divide the rows evenly.
    Returns:
        threshold, coverage (share of rows with a label), accuracy (of these), accuracy below (of the others).
    """
    confidence, right = predictions.confidence, ~predictions.wrong
    if thresholds is None:
        thresholds = np.unique(np.quantile(confidence, np.linspace(0, 0.95, 20)))
    rows = []
    for threshold in thresholds:
        covered = confidence >= threshold
        accuracy = right[covered].mean() if covered.any() else np.nan
        rows.append((threshold, covered.mean(), accuracy, right[~covered].mean() if (~covered).any() else np.nan))
    return pd.DataFrame(rows, columns=["threshold", "coverage", "accuracy", "accuracy below"])


def threshold_for(predictions: Predictions, accuracy: float) -> float:
    """Find the lowest confidence threshold that reaches an accuracy, so that as many rows as possible get a label.

    Args:
        predictions: predictions with true labels.
        accuracy: accuracy of the rows at or above the threshold, 0 to 1.
    Returns:
        A threshold for `predict_df(min_confidence=)`.
    Raises:
        ValueError: no threshold reaches it on these rows.
    """
    order = np.argsort(-predictions.confidence, kind="stable")
    accuracies = np.cumsum(~predictions.wrong[order]) / np.arange(1, len(predictions) + 1)
    confidence = predictions.confidence[order]
    last = np.append(confidence[1:] < confidence[:-1], True)  # a threshold cannot separate equal confidences
    reached = np.flatnonzero((accuracies >= accuracy) & last)
    if not len(reached):
        top = min(10, len(confidence))
        raise ValueError(
            f"no threshold reaches accuracy={accuracy:.1%}: {accuracies[top - 1]:.1%} of the {top} most confident of "
            f"{len(confidence):,} rows are correct. Ask for a lower accuracy or train a better model"
        )
    return float(confidence[reached[-1]])
