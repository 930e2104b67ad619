"""Progress of labeling: accuracy with an interval, labels that look wrong, agreement, and when to stop."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kickbert.evaluation.significance import wilson_interval
from kickbert.labeling.classifier import EmbeddingClassifier, out_of_fold
from kickbert.labeling.database import Label, Row
from kickbert.labeling.stopping import MORE, WORTH, Forecast, correct_by_size, forecast, stabilized
from kickbert.targets.label_noise import label_confidence, suspected_errors

LATEST = 100  # suggestions that agreement is computed on: earlier models were worse
RANDOM = "random"  # strategy of texts drawn regardless of the model
MIN_JUDGED = 10  # labels in the random sample from which accuracy is reported
MIN_TO_FORECAST = 30  # labels in the random sample from which a forecast and a stop are worth hearing
# With 5% planted mistakes, about 40% of the labels below this probability are wrong.
DOUBT = 0.05  # probability of a label below which it looks wrong
MAX_DOUBTED = 0.05  # maximum share of labels listed as suspicious


@dataclass(frozen=True)
class Suspicion:
    """A label that looks wrong to the model."""

    row: int  # id of the row
    id: int  # of the label
    label: str | list[str]  # as entered
    predicted: str | list[str]  # by a model that did not see the label
    confidence: float  # that model's probability of the label


@dataclass(frozen=True)
class Assessment:
    """Quality of the model on the current labels.

    Args:
        labels: Number of labels it was fitted on.
        judged: Number of rows in the random sample that it was judged on.
        accuracy: Cross-validated accuracy on these; None if they are too few.
        low: Lower bound of its 95% interval (Wilson).
        high: Upper bound of its 95% interval.
        forecast: Expected accuracy after more labels; None if the rows are too few to tell.
        suspicions: Labels that look wrong, the worst first.
        stop: Reason to stop, in a sentence; None if there is none.
    """

    labels: int
    judged: int
    accuracy: float | None
    low: float | None
    high: float | None
    forecast: Forecast | None
    suspicions: list[Suspicion]
    stop: str | None


def random_sample(rows: Iterable[Row], labels: Collection[Label]) -> set[int]:
    """Return the ids of the labeled rows that are a random sample of all rows.

    Random rows are drawn in the order of their keys, which are hashes. All rows up to the last one drawn are therefore
    a random sample, including those that a strategy chose first. Without these it would lack difficult rows.
    """
    keys = {row.id: row.key for row in rows}
    last = max((keys[label.row] for label in labels if label.strategy == RANDOM), default="")
    return {label.row for label in labels if label.label is not None and keys[label.row] <= last}


def assess(
    model: EmbeddingClassifier,
    embeddings: np.ndarray,
    codes: np.ndarray,
    labels: Sequence[Label],
    classes: Sequence[str],
    sample: Collection[int],
    confirmed: Collection[int] = (),
    predictions: Sequence[np.ndarray] = (),
) -> Assessment:
    """Judge the model on the current labels by cross-validation.

    Args:
        model: Supplies the task and the number of classes.
        embeddings: Embeddings of the labeled rows, shape (n, width).
        codes: Their labels from `label_codes`.
        labels: The n labels, the earliest first, under the names in `classes`.
        classes: Class names.
        sample: Ids of the rows in the random sample.
        confirmed: Ids of rows that were labeled twice, so that their labels are not suspected again.
        predictions: Codes of the same rows after each refit, the latest last.
    """
    probabilities = out_of_fold(model, embeddings, codes)
    decided = model.decide(probabilities)
    right = (decided == codes).reshape(len(codes), -1).all(axis=1)
    judged = np.flatnonzero([label.row in sample for label in labels])
    accuracy = low = high = curve = None
    if len(judged) >= MIN_JUDGED:
        accuracy = float(right[judged].mean())
        low, high = wilson_interval(right[judged].sum(), len(judged))
    if len(judged) >= MIN_TO_FORECAST:
        sizes, correct = correct_by_size(model, embeddings, codes, judged)
        correct[-1] = right[judged]  # so that the curve ends at the reported accuracy
        curve = forecast(sizes, correct) if len(sizes) > 1 else None
    confidence = label_confidence(probabilities, codes)
    suspicions = [
        Suspicion(
            row=labels[i].row,
            id=labels[i].id,
            label=_names(codes[i], classes),
            predicted=_names(decided[i], classes),
            confidence=float(confidence[i]),
        )
        for i in suspected_errors(probabilities, codes)
        if confidence[i] < DOUBT and labels[i].row not in confirmed and not right[i]
    ]
    return Assessment(
        labels=len(labels),
        judged=len(judged),
        accuracy=accuracy,
        low=low,
        high=high,
        forecast=curve,
        suspicions=suspicions[: max(1, int(MAX_DOUBTED * len(labels)))],
        stop=_reason_to_stop(predictions, curve),
    )


def _names(code: np.ndarray, classes: Sequence[str]) -> str | list[str]:
    return classes[int(code)] if np.ndim(code) == 0 else [classes[i] for i in np.flatnonzero(code).tolist()]


def _reason_to_stop(predictions: Sequence[np.ndarray], curve: Forecast | None) -> str | None:
    if curve is None:
        return None
    if stabilized(predictions):
        return "The last three models agree on nearly all texts."
    if curve.gain < WORTH:
        return f"{MORE} more labels are expected to gain less than half a point of accuracy."
    return None


def class_counts(labels: Iterable[Label], classes: Sequence[str]) -> dict[str, int]:
    """Count the labels of each class, given labels under the names in `classes`."""
    counts = dict.fromkeys(classes, 0)
    for label in labels:
        for name in label.names:
            if name in counts:
                counts[name] += 1
    return counts


def suggestion_agreement(history: Iterable[Label]) -> dict[str, tuple[int, int]]:
    """Count how often the latest suggestions equaled the label, where they were shown and where they were hidden.

    A much higher share where they were shown means that suggestions bias the labels. The first label of a row counts:
    later ones may follow the list of labels that look wrong.

    Args:
        history: Every label not undone, the earliest first.
    Returns:
        For "shown" and "hidden": number of equal labels, number of labels.
    """
    first: dict[int, Label] = {}
    for label in history:
        first.setdefault(label.row, label)
    latest = [label for label in first.values() if label.suggestion][-LATEST:]
    agreement = {}
    for kind in ("shown", "hidden"):
        of_kind = [x for x in latest if x.shown == (kind == "shown")]
        equal = [x.suggestion is not None and x.suggestion["label"] == x.label for x in of_kind]
        agreement[kind] = (sum(equal), len(equal))
    return agreement


def people_agreement(history: Iterable[Label]) -> tuple[int, int]:
    """Count the rows that several people labeled alike, and all rows that several people labeled.

    Args:
        history: Every label not undone, the earliest first; a person's last label of a row counts.
    """
    by_row: dict[int, dict[str, str | list[str] | None]] = {}
    for label in history:
        by_row.setdefault(label.row, {})[label.who] = label.label
    shared = [list(labels.values()) for labels in by_row.values() if len(labels) > 1]
    return sum(all(label == labels[0] for label in labels) for labels in shared), len(shared)
