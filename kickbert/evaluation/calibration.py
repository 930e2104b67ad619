"""Temperature scaling, and selective prediction by a confidence threshold.

raw outputs of the validation rows → a temperature, kept in the loss → probabilities → a threshold → labels or none
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from fastai.imports import noop

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import LEAST, ExpectedCalibrationError, top_label
from kickbert.targets.kinds import MULTI, REGRESSION
from kickbert.targets.thresholds import TEMPERATURES, best_temperature
from kickbert.utils.messages import Described


@dataclass(frozen=True, repr=False)
class TemperatureScaling(Described):
    """A fitted temperature, and what it did on the rows that it was fitted on.

    Args:
        temperature: that raw outputs are divided by; over 1 for an overconfident model.
        log_loss_before, log_loss_after: log loss, in nats.
        ece_before, ece_after: expected calibration error, 0 to 1.
    """

    temperature: float
    log_loss_before: float
    log_loss_after: float
    ece_before: float
    ece_after: float

    def facts(self) -> dict[str, str]:
        """Temperature, what it did, next step: what `repr` shows."""
        was = "overconfident" if self.temperature > 1 else "underconfident"
        return {
            "temperature": f"{self.temperature:.3f}: the model was {was}",
            "log loss": f"{self.log_loss_before:.3f} → {self.log_loss_after:.3f}",
            "expected calibration error": f"{self.ece_before:.3f} → {self.ece_after:.3f}",
            "rows": "those of validation, on which the temperature was fitted",
            "next": "kickbert.evaluate(learn, test), predict_df(df, min_confidence=…)",
        }


def calibrate(learn: Any) -> TemperatureScaling:
    """Fit a temperature on the validation rows (Guo et al. 2017, section 4.2) and keep it in `learn.loss_func`.

    All probabilities of the learner are scaled by it from then on, `predict_df`'s too, so that of rows predicted with
    80 % about eight in ten are right. The likeliest class stays the same; thresholds of several labels are tuned anew.

    Args:
        learn: a trained learner of classes.
    Raises:
        ValueError: no validation rows, a number, or a loss that knows no temperature.
    """
    target, loss = learn.target, learn.loss_func
    if target.task == REGRESSION or not hasattr(loss, "temperature"):
        raise ValueError(f"a temperature scales probabilities; the task is {target.task}, the loss {loss}")
    if not len(learn.dls.valid_ds):
        raise ValueError("the learner has no validation rows to fit a temperature on")
    with learn.no_bar():
        raw, y_true = learn.get_preds(ds_idx=1, act=noop)
    raw, y_true, multilabel = raw.double(), y_true.numpy(), target.task == MULTI

    def probs(temperature: float) -> np.ndarray:
        return (raw / temperature).sigmoid().numpy() if multilabel else (raw / temperature).softmax(-1).numpy()

    temperature = best_temperature(lambda temperature: _log_loss(probs(temperature), y_true))
    if not TEMPERATURES[0] * 1.01 < temperature < TEMPERATURES[1] / 1.01:
        warnings.warn(
            f"the temperature {temperature:.2g} is at the end of its range: too few rows tell it", stacklevel=2
        )
    before, after = probs(1.0), probs(temperature)
    loss.temperature = temperature
    if multilabel:
        learn.tune_thresholds()
    log_losses, errors = ([score(p, y_true) for p in (before, after)] for score in (_log_loss, _calibration_error))
    return TemperatureScaling(temperature, *log_losses, *errors)


def _log_loss(probs: np.ndarray, y_true: np.ndarray) -> float:
    if y_true.ndim == 2:
        clipped = np.clip(probs, LEAST, 1 - LEAST)
        return float(-(y_true * np.log(clipped) + (1 - y_true) * np.log1p(-clipped)).mean())
    return float(-np.log(np.clip(probs[np.arange(len(y_true)), y_true], LEAST, 1)).mean())


def _calibration_error(probs: np.ndarray, y_true: np.ndarray) -> float:
    confidence, right = top_label(y_true, probs)
    return ExpectedCalibrationError(confidence, right)(np.ones(len(right)))


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
