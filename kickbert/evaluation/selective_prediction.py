"""Selective prediction: a label only for rows where the model is confident enough."""

import numpy as np
import pandas as pd

from kickbert.evaluation.predictions import Predictions


def coverage(predictions: Predictions, thresholds: np.ndarray | None = None) -> pd.DataFrame:
    """Coverage and accuracy of selective prediction (El-Yaniv and Wiener 2010): rows below a confidence get no label.

    Args:
        predictions: of rows whose labels are known.
        thresholds: of confidence; None for twenty that part the rows evenly.
    Returns:
        threshold, coverage (share of the rows that get a label), accuracy (of these), accuracy below (of the others).
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
    """Find the least confidence threshold whose selective accuracy reaches a target: the most rows get a label.

    Args:
        predictions: of rows whose labels are known.
        accuracy: to reach on the rows at or above the threshold, 0 to 1.
    Returns:
        A threshold for `predict_df(min_confidence=)`.
    Raises:
        ValueError: no threshold reaches it on these rows.
    """
    order = np.argsort(-predictions.confidence, kind="stable")
    accuracies = np.cumsum(~predictions.wrong[order]) / np.arange(1, len(predictions) + 1)
    confidence = predictions.confidence[order]
    last = np.append(confidence[1:] < confidence[:-1], True)  # a threshold cannot part equal confidences
    reached = np.flatnonzero((accuracies >= accuracy) & last)
    if not len(reached):
        top = min(10, len(confidence))
        raise ValueError(
            f"accuracy={accuracy:.1%} is reached by no threshold; of the {top} most confident of {len(confidence):,} "
            f"rows {accuracies[top - 1]:.1%} are right, so ask for less or train a better model"
        )
    return float(confidence[reached[-1]])
