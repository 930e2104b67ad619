"""Temperature scaling.

raw outputs of the validation rows → a temperature, kept in the loss → calibrated probabilities
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from fastai.imports import noop
from torch import Tensor

from kickbert.evaluation.reliability import ExpectedCalibrationError, log_losses, top_label
from kickbert.targets.thresholds import TEMPERATURES, best_temperature
from kickbert.utils.messages import Described, plural

if TYPE_CHECKING:
    from kickbert.training.learner import GradualLearner

# Validation rows from which training calibrates by itself. Fitting one number costs 1 / (2 * rows) nats of log loss on
# new rows: 0.0025 with 200 rows, whose temperature has a standard error of a tenth (simulated). A model that is
# overconfident by a temperature of 1.2 gains 0.007 nats, and loses with 3 in 100 draws of 200 rows; with 19 of 100.
ENOUGH_ROWS = 200
MISTAKES = 5  # with fewer, a few rows decide how confident the model may be; without any, nothing limits it
HOW = "kickbert.calibrate(learn), or kickbert train … --calibrate"


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

    @property
    def at_end(self) -> bool:
        """Whether the temperature is at the end of its range, so that the rows do not determine it."""
        return not TEMPERATURES[0] * 1.01 < self.temperature < TEMPERATURES[1] / 1.01

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
    again. `fit_gradual` and `fit_few` do this with 200 validation rows or more; training again forgets the temperature.

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
    scaling = _fitted(*_validation(learn))
    if scaling.at_end:
        warnings.warn(
            f"the temperature {scaling.temperature:.2g} is at the end of its range: there are too few rows to fit it",
            stacklevel=2,
        )
    loss.temperature = scaling.temperature
    if target.is_multilabel:
        learn.tune_thresholds()
    return scaling


def calibrate_by_default(learn: "GradualLearner") -> str:
    """Calibrate after training if that is safe, without changing a label; thresholds are to be tuned afterwards.

    Args:
        learn: a trained learner with a temperature of 1.
    Returns:
        A line with the temperature and its effect; or the calibration error, the reason why the probabilities are not
        scaled, and how to scale them; empty for a number, a loss without a temperature, or no validation rows.
    """
    target, rows = learn.target, len(learn.dls.valid_ds)
    if target.is_number or not hasattr(learn.loss_func, "temperature") or not rows:
        return ""
    raw, y_true = _validation(learn)
    scaling = _fitted(raw, y_true)
    mistakes = int(np.count_nonzero(~top_label(y_true, _probs(raw, y_true, 1.0))[1]))
    reason = ""
    if rows < ENOUGH_ROWS:
        reason = f"{plural(rows, 'validation row')}, fewer than {ENOUGH_ROWS}"
    elif target.is_ordered:
        reason = "the label of ordered classes is their median, which a temperature may move"
    elif mistakes < MISTAKES:
        reason = f"{plural(mistakes, 'mistake')} on {rows:,} validation rows, too few to fit a temperature"
    elif scaling.at_end:
        reason = f"the best temperature, {scaling.temperature:.2g}, is at the end of its range"
    if reason:
        return f"not calibrated ({reason}): expected calibration error {scaling.ece_before:.3f}. To calibrate: {HOW}"
    learn.loss_func.temperature = scaling.temperature
    effect = f"expected calibration error {scaling.ece_before:.3f} → {scaling.ece_after:.3f}"
    return f"calibrated on {rows:,} validation rows: temperature {scaling.temperature:.3f}, {effect}"


def _validation(learn: "GradualLearner") -> tuple[Tensor, np.ndarray]:
    """Return raw outputs, float64, shape (n, classes), and true codes of the validation rows."""
    with learn.no_bar():
        raw, y_true = learn.get_preds(ds_idx=1, act=noop)
    return raw.double(), y_true.numpy()


def _probs(raw: Tensor, y_true: np.ndarray, temperature: float) -> np.ndarray:
    scaled = raw / temperature
    return scaled.sigmoid().numpy() if y_true.ndim == 2 else scaled.softmax(-1).numpy()


def _fitted(raw: Tensor, y_true: np.ndarray) -> TemperatureScaling:
    """Fit a temperature to raw outputs and true codes."""
    temperature = best_temperature(lambda temperature: _log_loss(_probs(raw, y_true, temperature), y_true))
    before = _probs(raw, y_true, 1.0)
    after = _probs(raw, y_true, temperature)
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
