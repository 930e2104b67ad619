"""Probabilities that mean what they say, and when to say nothing.

raw outputs of the validation rows → a temperature, kept in the loss → probabilities → a threshold → answers or none
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from fastai.imports import noop
from scipy.optimize import minimize_scalar

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import LEAST, ExpectedCalibrationError
from kickbert.targets.kinds import MULTI, REGRESSION

RANGE = (0.05, 20.0)  # of temperatures; at its ends the model knows nothing or is never wrong


@dataclass(frozen=True)
class TemperatureScaling:
    """What temperature scaling did, on the rows that it was fitted on.

    Args:
        temperature: that raw outputs are divided by; over 1 for a model that was too sure.
        log_loss_before, log_loss_after: log loss, in nats.
        ece_before, ece_after: expected calibration error.
    """

    temperature: float
    log_loss_before: float
    log_loss_after: float
    ece_before: float
    ece_after: float


def calibrate(learn: Any) -> TemperatureScaling:
    """Fit a temperature on the validation rows (Guo et al. 2017, section 4.2) and keep it in `learn.loss_func`.

    All probabilities of the learner are scaled by it from then on, `predict_df`'s too. Which class is the likeliest
    does not change; thresholds of several labels are tuned anew.

    Raises:
        ValueError: no validation rows, a number, or a loss that knows no temperature.
    """
    target, loss = learn.dls.target, learn.loss_func
    if target.task == REGRESSION or not hasattr(loss, "temperature"):
        raise ValueError(f"a temperature scales probabilities; the task is {target.task}, the loss {loss}")
    if not len(learn.dls.valid_ds):
        raise ValueError("the learner has no validation rows to fit a temperature on")
    with learn.no_bar():
        raw, y_true = learn.get_preds(ds_idx=1, act=noop)
    raw, y_true, several = raw.double(), y_true.numpy(), target.task == MULTI

    def probs(temperature: float) -> np.ndarray:
        return (raw / temperature).sigmoid().numpy() if several else (raw / temperature).softmax(-1).numpy()

    found = minimize_scalar(lambda log: _log_loss(probs(np.exp(log)), y_true), bounds=np.log(RANGE), method="bounded")
    temperature = float(np.exp(found.x))
    if not RANGE[0] * 1.01 < temperature < RANGE[1] / 1.01:
        warnings.warn(
            f"the temperature {temperature:.2g} is at the end of its range: too few rows tell it", stacklevel=2
        )
    before, after = probs(1.0), probs(temperature)
    loss.temperature = temperature
    if several:
        learn.tune_thresholds()
    losses, errors = ([f(p, y_true) for p in (before, after)] for f in (_log_loss, _error))
    return TemperatureScaling(temperature, *losses, *errors)


def _log_loss(probs: np.ndarray, y_true: np.ndarray) -> float:
    if y_true.ndim == 2:
        sure = np.clip(probs, LEAST, 1 - LEAST)
        return float(-(y_true * np.log(sure) + (1 - y_true) * np.log1p(-sure)).mean())
    return float(-np.log(np.clip(probs[np.arange(len(y_true)), y_true], LEAST, 1)).mean())


def _error(probs: np.ndarray, y_true: np.ndarray) -> float:
    """Of several labels each answer counts, yes or no."""
    if y_true.ndim == 2:
        confidence, right = np.maximum(probs, 1 - probs).ravel(), ((probs >= 0.5) == (y_true > 0.5)).ravel()
    else:
        confidence, right = probs.max(1), probs.argmax(1) == y_true
    return ExpectedCalibrationError(confidence, right)(np.ones(len(right)))


def coverage(found: Predictions, thresholds: np.ndarray | None = None) -> pd.DataFrame:
    """What it costs to answer only from a confidence on.

    Args:
        found: predictions of rows whose labels are known.
        thresholds: of confidence; None for twenty that part the rows evenly.
    Returns:
        threshold, coverage (share of rows answered), accuracy of these, and of those not answered.
    """
    if thresholds is None:
        thresholds = np.unique(np.quantile(found.confidence, np.linspace(0, 0.95, 20)))
    rows = []
    for threshold in thresholds:
        kept = found.confidence >= threshold
        right = ~found.wrong
        accuracy = right[kept].mean() if kept.any() else np.nan
        rows.append((threshold, kept.mean(), accuracy, right[~kept].mean() if (~kept).any() else np.nan))
    return pd.DataFrame(rows, columns=["threshold", "coverage", "accuracy", "accuracy below"])


def threshold_for(found: Predictions, accuracy: float) -> float:
    """The least confidence from which on so large a share of the answers is right.

    Raises:
        ValueError: no threshold reaches it on these rows.
    """
    order = np.argsort(-found.confidence, kind="stable")
    right = np.cumsum(~found.wrong[order]) / np.arange(1, len(found) + 1)
    sure = found.confidence[order]
    last = np.append(sure[1:] < sure[:-1], True)  # a threshold cannot part equal confidences
    good = np.flatnonzero((right >= accuracy) & last)
    if not len(good):
        raise ValueError(
            f"no threshold makes {accuracy:.1%} of the answers right; the {10 if len(sure) > 10 else len(sure)} surest "
            f"of {len(sure):,} rows have {right[min(9, len(sure) - 1)]:.1%}"
        )
    return float(sure[good[-1]])
