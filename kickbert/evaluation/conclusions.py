"""An evaluation in three plain sentences: how good the model is, whether it beats the baselines, what is weak.

scores with intervals, differences from the baselines, classes → sentences
"""

import numpy as np
import pandas as pd

from kickbert.evaluation import baselines
from kickbert.evaluation.predictions import Predictions
from kickbert.targets.base import Target, for_target
from kickbert.targets.continuous import Continuous
from kickbert.targets.labels import Labels, OrderedLabels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.utils.messages import shorten

FEW = 50  # rows under which an interval is wider than most differences that matter
SPARSE = 100  # training rows of a class under which more of them help most
WELL = 0.9  # recall from which a class needs no advice
NAMED = 5  # classes in a sentence
WHO = {baselines.MAJORITY: "the majority class", baselines.LINEAR: "TF-IDF with a linear model"}
# How a sentence states the main score.
LEVELS: dict[type[Target], str] = {
    Target: "{score} {value} on {rows} rows ({interval}).",
    Labels: "Right on {value} of {rows} rows (accuracy, {interval}).",
    OrderedLabels: "Quadratic kappa {value} on {rows} rows ({interval}), where 0 is chance and 1 is perfect.",
    MultiLabels: "Micro-F1 {value} on {rows} rows ({interval}).",
    Continuous: "Explains {value} of the variance of {rows} rows (R², {interval}).",
}


def conclusions(
    predictions: Predictions,
    scores: pd.DataFrame,
    differences: pd.DataFrame,
    classes: pd.DataFrame | None,
    training: np.ndarray | None,
) -> list[str]:
    """Say in three sentences how good a model is.

    Args:
        predictions: with true labels.
        scores: model, low and high, and a column for each baseline, indexed by score.
        differences: of the main score, model - baseline: low and high (95 %), indexed by baseline; may be empty.
        classes: recall and rows of each class; None for numbers.
        training: codes of the training rows; None where they are not at hand.
    """
    target = predictions.target
    sentences = [_level(target, scores, len(predictions)), _beside(target, scores, differences)]
    sentences.append(_error(predictions) if classes is None else _weakness(predictions, classes, training))
    return [sentence for sentence in sentences if sentence]


def few_rows(rows: int) -> str:
    """A warning that so few rows tell little; empty where there are enough."""
    what = "one row tells" if rows == 1 else f"{rows} rows tell"
    return f"{what} little of a model: hold out {FEW} or more, or use cross_validate" if rows < FEW else ""


def _level(target: Target, scores: pd.DataFrame, rows: int) -> str:
    main = scores.loc[target.shown_scores[0]]
    value, low, high = (_number(target, main[column]) for column in ("model", "low", "high"))
    interval = f"95 % interval {low} to {high}"
    return for_target(LEVELS, target).format(score=_title(target), value=value, rows=f"{rows:,}", interval=interval)


def _number(target: Target, score: float) -> str:
    if np.isnan(score):
        return "undefined"
    return f"{score:.2f}" if target.is_ordered else f"{100 * score:.1f} %"


def _beside(target: Target, scores: pd.DataFrame, differences: pd.DataFrame) -> str:
    """Better or worse than a baseline only where the interval of the difference says so."""
    groups: dict[str, list[str]] = {"better than": [], "not significantly different from": [], "worse than": []}
    for name, difference in differences.dropna().iterrows():
        better, worse = difference["low"] > 0, difference["high"] < 0
        outcome = "better than" if better else "worse than" if worse else "not significantly different from"
        who = "the median" if target.is_number and name == baselines.MAJORITY else WHO[name]
        groups[outcome].append(f"{who} ({_number(target, scores.loc[target.shown_scores[0], name])})")
    parts = [f"{outcome} {' and '.join(names)}" for outcome, names in groups.items() if names]
    sentence = f"By {_title(target)}, {'; '.join(parts)}" if parts else ""
    if groups["worse than"] and WHO[baselines.LINEAR] in groups["worse than"][-1]:
        sentence += ", which costs less to run"
    return sentence and f"{sentence}."


def _title(target: Target) -> str:
    return target.shown_scores[0].replace("R2", "R²")


def _error(predictions: Predictions) -> str:
    y_true, y_pred = predictions.numbers
    return f"Half of the predictions are within {np.median(np.abs(y_true - y_pred)):,.4g} of the true value."


def _weakness(predictions: Predictions, classes: pd.DataFrame, training: np.ndarray | None) -> str:
    """Classes that are never predicted, or else the one of the lowest recall, and what would help."""
    decided = predictions.y_pred.astype(int)
    several = decided.ndim == 2
    counts = decided.sum(0) if several else np.bincount(decided, minlength=len(classes))
    rows, recall = classes["rows"].to_numpy(), classes["recall"].to_numpy()
    never = np.flatnonzero((counts == 0) & (rows > 0))
    if len(never):
        names = ", ".join(f"{_name(classes, i)} ({rows[i]:,} rows)" for i in never[:NAMED])
        more = f" and {len(never) - NAMED} more" if len(never) > NAMED else ""
        return f"Never predicted: {names}{more}. {_remedy(never, training)}."
    there = np.flatnonzero(rows > 0)
    if not len(there):
        return ""
    weakest = there[recall[there].argmin()]
    sentence = f"Lowest recall: {_name(classes, weakest)}, {100 * recall[weakest]:.1f} % of {rows[weakest]:,} rows"
    return f"{sentence}." if recall[weakest] >= WELL else f"{sentence}. {_remedy(np.array([weakest]), training)}."


def _name(classes: pd.DataFrame, i: int) -> str:
    return repr(shorten(classes["class"].iloc[i], 40))


def _remedy(weak: np.ndarray, training: np.ndarray | None) -> str:
    """What would help classes: rows where training has few, else the weight of the class, epochs or depth."""
    more = f"More labelled rows of {'them' if len(weak) > 1 else 'it'} would help"
    if training is None:
        return f"{more}, or more epochs, or training more layers"
    sizes = training.sum(0) if training.ndim == 2 else np.bincount(training, minlength=weak.max() + 1)
    smallest = int(sizes[weak].min())
    if smallest < SPARSE:
        return f"{more} most: training had {smallest:,}"
    weight = 'class_weights="balanced", ' if training.ndim == 1 and smallest < sizes.mean() / 2 else ""
    return f"What may help: {weight}more epochs, or training all layers"
