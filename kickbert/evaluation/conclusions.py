"""An evaluation in plain sentences: how good the model is, whether it beats the baselines, where it is weak.

scores with intervals, differences from the baselines, classes → sentences
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kickbert.evaluation import baselines
from kickbert.evaluation.collapse import collapsed, train_longer
from kickbert.evaluation.predictions import Predictions
from kickbert.targets.base import Target, for_target
from kickbert.targets.continuous import Continuous
from kickbert.targets.labels import OrderedLabels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.utils.messages import listed, plural, shorten

FEW = 50  # rows below which an interval is wider than most differences that matter
SPARSE = 100  # training rows of a class below which more of them help most
WELL = 0.9  # recall from which a class needs no advice
NAMED = 5  # maximum number of classes in a sentence
LINEAR = "TF-IDF plus a linear model"
NAMES = {baselines.LINEAR: LINEAR, baselines.COLUMNS: "the other columns alone"}
# How a sentence states the main score.
LEVELS: dict[type[Target], str] = {
    Target: "{score} {value} on {rows} ({interval}).",  # type: ignore[type-abstract]
    OrderedLabels: "{score} {value} on {rows} ({interval}); 0 is chance and 1 is perfect.",
    Continuous: "Explains {value} of the variance of {rows} ({score}, {interval}).",
}
# What the constant baseline does.
CONSTANTS: dict[type[Target], str] = {
    Target: "always guessing the largest class",  # type: ignore[type-abstract]
    MultiLabels: "always guessing the most frequent labels",
    OrderedLabels: "always guessing the median class",
    Continuous: "always guessing the median",
}


def summarize(
    predictions: Predictions,
    scores: pd.DataFrame,
    differences: pd.DataFrame,
    classes: pd.DataFrame | None,
    training: np.ndarray | None,
    longer: Sequence[int] | None = None,
) -> list[str]:
    """Summarize an evaluation in up to three sentences.

    Args:
        predictions: predictions with true labels.
        scores: model, low, high and a column for each baseline, indexed by score.
        differences: low and high (95% interval) of the model's main score minus the baseline's, indexed by baseline;
            may be empty.
        classes: recall and rows of each class; None for a number.
        training: codes of the training rows; None if they are unknown.
        longer: epochs of each phase in advice to train longer; None if it is unknown how long the model was trained.
    """
    target = predictions.target
    sentences = [_level(target, scores, len(predictions)), _comparison(target, scores, differences)]
    if classes is None:
        sentences.append(_typical_error(predictions))
    elif problem := collapsed(predictions, training):
        sentences.append(f"{problem[0].upper()}{problem[1:]}. {train_longer(longer)}.")
    else:
        sentences.append(_weakness(predictions, classes, training))
    return [sentence for sentence in sentences if sentence]


def few_rows(rows: int) -> str:
    """Warn about too few rows; empty if there are enough."""
    verb = "is" if rows == 1 else "are"
    advice = f"hold out at least {FEW}, or use cross_validate()"
    return f"{plural(rows, 'row')} {verb} too few for a reliable score; {advice}" if rows < FEW else ""


def no_majority(tied: list[str]) -> list[str]:
    """Write a note about a missing majority baseline; none if it is not missing.

    Args:
        tied: the classes that are equally often the most frequent in training.
    """
    if not tied:
        return []
    names = listed([repr(shorten(name, 40)) for name in tied], NAMED)
    return [f"No comparison with the majority class: {names} are equally frequent in training"]


def _level(target: Target, scores: pd.DataFrame, rows: int) -> str:
    main = scores.loc[target.shown_scores[0]]
    value, low, high = (_formatted(target, main[column]) for column in ("model", "low", "high"))
    interval = (
        "no interval: all bootstrap samples are equal" if np.isnan(main["low"]) else f"95% interval: {low} to {high}"
    )
    title = _title(target)
    return for_target(LEVELS, target).format(
        score=f"{title[0].upper()}{title[1:]}", value=value, rows=plural(rows, "row"), interval=interval
    )


def _title(target: Target) -> str:
    return target.shown_scores[0].replace("R2", "R²")


def _formatted(target: Target, score: float) -> str:
    if np.isnan(score):
        return "undefined"
    return f"{score:.2f}" if target.is_ordered else f"{100 * score:.1f}%"


def _comparison(target: Target, scores: pd.DataFrame, differences: pd.DataFrame) -> str:
    """Compare with the baselines; claim a difference only if its interval excludes zero."""
    names: dict[str, list[str]] = {"better": [], "same": [], "worse": []}
    for baseline, difference in differences.dropna().iterrows():
        name = NAMES.get(baseline) or for_target(CONSTANTS, target)
        outcome = "better" if difference["low"] > 0 else "worse" if difference["high"] < 0 else "same"
        names[outcome].append(f"{name} ({_formatted(target, scores.loc[target.shown_scores[0], baseline])})")
    cheaper = ", which costs less to run" if any(name.startswith(LINEAR) for name in names["worse"]) else ""
    higher = "More accurate" if _title(target) == "accuracy" else f"Higher {_title(target)}"
    lower = "Less accurate" if _title(target) == "accuracy" else f"Lower {_title(target)}"
    sentences = {
        "better": f"{higher} than {' and '.join(names['better'])}.",
        "same": f"No significant difference from {' and '.join(names['same'])}.",
        "worse": f"{lower} than {' and '.join(names['worse'])}{cheaper}.",
    }
    return " ".join(sentence for outcome, sentence in sentences.items() if names[outcome])


def _typical_error(predictions: Predictions) -> str:
    y_true, y_pred = predictions.numbers
    return f"Half of the predictions are within {np.median(np.abs(y_true - y_pred)):,.4g} of the true value."


def _weakness(predictions: Predictions, classes: pd.DataFrame, training: np.ndarray | None) -> str:
    """Name the classes that are never predicted, or else the one with the lowest recall, and what would help."""
    decided = predictions.y_pred.astype(int)
    counts = decided.sum(0) if decided.ndim == 2 else np.bincount(decided, minlength=len(classes))
    rows = classes["rows"].to_numpy()
    recall = classes["recall"].to_numpy()
    never = np.flatnonzero((counts == 0) & (rows > 0))
    if len(never):
        names = listed([f"{_name(classes, i)} ({plural(rows[i], 'row')})" for i in never.tolist()], NAMED)
        return f"Never predicted: {names}. {_remedy(never, training)}."
    present = np.flatnonzero(rows > 0)
    if not len(present):
        return ""
    weakest = present[recall[present].argmin()]
    share = f"{100 * recall[weakest]:.1f}% of {plural(rows[weakest], 'row')}"
    advice = f" {_remedy(np.array([weakest]), training)}." if recall[weakest] < WELL else ""
    return f"Lowest recall: {_name(classes, weakest)}, {share}.{advice}"


def _name(classes: pd.DataFrame, i: int) -> str:
    return repr(shorten(classes["class"].iloc[i], 40))


def _remedy(weak: np.ndarray, training: np.ndarray | None) -> str:
    """Advise more rows for classes with few training rows, otherwise class weights, epochs or depth."""
    more = f"More labeled rows for {'these classes' if len(weak) > 1 else 'this class'} would help"
    if training is None:
        return f"{more}, or more epochs, or training more layers"
    sizes = training.sum(0) if training.ndim == 2 else np.bincount(training, minlength=weak.max() + 1)
    smallest = int(sizes[weak].min())
    if smallest < SPARSE:
        return f"{more} most (training had {smallest:,})"
    weights = 'class_weights="balanced", ' if training.ndim == 1 and smallest < sizes.mean() / 2 else ""
    return f"What may help: {weights}more epochs, or training all layers"
