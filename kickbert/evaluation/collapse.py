"""Recognize a model that has learned too little, such as one that predicts a single class, and say what to do."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kickbert.evaluation.baselines import majority
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.reliability import log_losses
from kickbert.evaluation.significance import wilson_interval
from kickbert.targets.base import Target

MIN_ROWS = 20  # fewer rows may well be of one class
GAIN = 0.02  # share by which the loss of a model that has learned something is below that of the class frequencies
LONGER = 8  # minimum epochs to advise


def train_longer(epochs: Sequence[int] | None = None) -> str:
    """Advise to train longer, with the call and the command.

    Args:
        epochs: epochs of each phase to advise, such as `GradualLearner.longer`; None if it is unknown how long the
            model was trained.

    >>> train_longer((1, 16)).split(". ")[0]
    "Train longer: learner_from_df(…, schedule={'epochs': (1, 16)}).fit_gradual(), or kickbert train … --epochs 16"
    """
    advised = tuple(epochs or (1, LONGER))
    unknown = "" if epochs else ", or twice as many epochs as before"
    return (
        f"Train longer: learner_from_df(…, schedule={{'epochs': {advised}}}).fit_gradual(), or kickbert train … "
        f"--epochs {advised[-1]}{unknown}. If that is not enough, change the learning rate or use "
        "class_weights='balanced'"
    )


def one_class(label: Any, rows: int, kind: str = "") -> str:
    """State that a model predicts the same for all rows."""
    return f"the model predicts {label!r} for all {rows:,} {kind}rows"


def collapsed(predictions: Predictions, training: np.ndarray | None) -> str:
    """State that a model has learned too little; empty if it has learned something, or if there are too few rows.

    Such a model predicts the same for all rows although their labels differ, or its probabilities and decisions are no
    better than the class frequencies of the training rows.

    Args:
        predictions: predictions with true labels.
        training: codes of the training rows; None if they are unknown.
    """
    target, rows = predictions.target, len(predictions)
    if target.is_number or rows < MIN_ROWS or len(np.unique(predictions.labels, axis=0)) == 1:
        return ""
    if len(np.unique(predictions.y_pred, axis=0)) == 1:
        return one_class(target.shown(predictions.y_pred[0]), rows)
    if training is not None and _is_constant(predictions, target, training):
        return "the probabilities are no better than the class frequencies of the training rows"
    return ""


def _is_constant(predictions: Predictions, target: Target, training: np.ndarray) -> bool:
    """Tell whether neither the log loss nor the share of correct rows is better than that of the class frequencies."""
    shares = majority(target, training, len(predictions))
    loss, constant = (log_losses(predictions.labels, probs).mean() for probs in (predictions.probs, shares))
    guess = Predictions(target, shares, target.decide(shares), predictions.y_true)
    low, _ = wilson_interval((~predictions.wrong).sum(), len(predictions))
    return bool(loss > (1 - GAIN) * constant and low <= 1 - guess.wrong.mean())
