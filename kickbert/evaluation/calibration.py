"""Temperature scaling, and selective prediction by a confidence threshold.

raw outputs of the validation rows → a temperature, kept in the loss → probabilities → a threshold → labels or none
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastai.imports import noop

from kickbert.evaluation.reliability import ExpectedCalibrationError, log_losses, top_label
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
    if target.is_number or not hasattr(loss, "temperature"):
        raise ValueError(f"a temperature scales probabilities; the task is {target.task}, the loss {loss}")
    if not len(learn.dls.valid_ds):
        raise ValueError("the learner has no validation rows to fit a temperature on")
    with learn.no_bar():
        raw, y_true = learn.get_preds(ds_idx=1, act=noop)
    raw, y_true, multilabel = raw.double(), y_true.numpy(), target.is_multilabel

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
    return float(log_losses(y_true, probs).mean())


def _calibration_error(probs: np.ndarray, y_true: np.ndarray) -> float:
    confidence, right = top_label(y_true, probs)
    return ExpectedCalibrationError(confidence, right)(np.ones(len(right)))
