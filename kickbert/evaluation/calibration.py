"""Temperature scaling.

raw outputs of the validation rows → a temperature, kept in the loss → calibrated probabilities
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from fastai.imports import noop

from kickbert.evaluation.reliability import ExpectedCalibrationError, log_losses, top_label
from kickbert.targets.thresholds import TEMPERATURES, best_temperature
from kickbert.utils.messages import Described

if TYPE_CHECKING:
    from kickbert.training.learner import GradualLearner


@dataclass(frozen=True, repr=False)
class TemperatureScaling(Described):
    """A fitted temperature and its effect on the rows that it was fitted on.

    Args:
        temperature: divisor of the raw outputs; above 1 if the model was overconfident.
        log_loss_before: log loss before scaling, in nats.
        log_loss_after: log loss after scaling.
        ece_before: expected calibration error before scaling, 0 to 1.
        ece_after: expected calibration error after scaling.
    """

    temperature: float
    log_loss_before: float
    log_loss_after: float
    ece_before: float
    ece_after: float

    def facts(self) -> dict[str, str]:
        """The temperature, its effect, and the next step."""
        was = "overconfident" if self.temperature > 1 else "underconfident"
        return {
            "temperature": f"{self.temperature:.3f}: the model was {was}",
            "log loss": f"{self.log_loss_before:.3f} → {self.log_loss_after:.3f}",
            "expected calibration error": f"{self.ece_before:.3f} → {self.ece_after:.3f}",
            "rows": "the validation rows, which the temperature was fitted on",
            "next": "kickbert.evaluate(learn, test), predict_df(df, min_confidence=…)",
        }


def calibrate(learn: "GradualLearner") -> TemperatureScaling:
    """Fit a temperature on the validation rows (Guo et al. 2017, section 4.2) and keep it in `learn.loss_func`.

    It scales all later probabilities of the learner, including those of `predict_df`, so that about 8 in 10 rows
    predicted with 80% are correct. The most probable class stays the same; with several labels, thresholds are tuned
    again.

    Args:
        learn: a trained learner that predicts classes.
    Raises:
        ValueError: no validation rows, a number as target, or a loss without a temperature.
    Warns:
        The temperature is at the end of its range.
    """
    target = learn.target
    loss = learn.loss_func
    if target.is_number or not hasattr(loss, "temperature"):
        raise ValueError(f"only probabilities can be calibrated; the task is {target.task}, the loss {loss}")
    if not len(learn.dls.valid_ds):
        raise ValueError("the learner has no validation rows to fit a temperature on")
    with learn.no_bar():
        raw, y_true = learn.get_preds(ds_idx=1, act=noop)
    raw = raw.double()
    y_true = y_true.numpy()
    multilabel = target.is_multilabel

    def probs(temperature: float) -> np.ndarray:
        return (raw / temperature).sigmoid().numpy() if multilabel else (raw / temperature).softmax(-1).numpy()

    temperature = best_temperature(lambda temperature: _log_loss(probs(temperature), y_true))
    if not TEMPERATURES[0] * 1.01 < temperature < TEMPERATURES[1] / 1.01:
        warnings.warn(
            f"the temperature {temperature:.2g} is at the end of its range: there are too few rows to fit it",
            stacklevel=2,
        )
    before = probs(1.0)
    after = probs(temperature)
    loss.temperature = temperature
    if multilabel:
        learn.tune_thresholds()
    return TemperatureScaling(
        temperature,
        log_loss_before=_log_loss(before, y_true),
        log_loss_after=_log_loss(after, y_true),
        ece_before=_calibration_error(before, y_true),
        ece_after=_calibration_error(after, y_true),
    )


def _log_loss(probs: np.ndarray, y_true: np.ndarray) -> float:
    return float(log_losses(y_true, probs).mean())


def _calibration_error(probs: np.ndarray, y_true: np.ndarray) -> float:
    confidence, right = top_label(y_true, probs)
    return ExpectedCalibrationError(confidence, right)(np.ones(len(right)))
