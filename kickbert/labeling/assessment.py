"""How far the labels have come: accuracy with an interval, thin classes, labels that look wrong, when to stop."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from kickbert.labeling.classifier import EmbeddingClassifier, out_of_fold
from kickbert.labeling.database import Label, Row
from kickbert.labeling.stopping import MORE, WORTH, Forecast, correct_by_size, forecast, stabilised
from kickbert.targets.kinds import MULTI
from kickbert.targets.label_noise import label_confidence, suspected_errors

LATEST = 100  # suggestions that agreement is told of: earlier models were worse
RANDOM = "random"  # the strategy of texts that are drawn whatever the model makes of them
THIN = 8  # labels of a class under which it is called thin
ENOUGH, SAFE = 10, 30  # labels of the random sample from which accuracy is told, and from which a stop is suggested
# Of labels with 5 % mistakes planted, those that have less probability than this are wrong about four times in ten.
DOUBT, DOUBTED = 0.05, 0.05  # probability of a label under which it looks wrong, and the share of labels that may


@dataclass(frozen=True)
class Suspicion:
    """A label that the model thinks wrong.

    Args:
        row, id: of the row, and of the label.
        label: as it was given.
        rather: what the model predicts, not having seen it.
        confidence: the model's probability of the given label.
    """

    row: int
    id: int
    label: str | list[str]
    rather: str | list[str]
    confidence: float


@dataclass(frozen=True)
class Assessment:
    """How good the model is after so many labels.

    Args:
        labels: it was fitted on.
        judged: rows of the random sample that it was judged by.
        accuracy, low, high: on these, cross-validated, with a 95 % interval (Wilson); None while they are few.
        forecast: what more labels would bring.
        suspicions: labels that look wrong, the worst first.
        stop: why it may be time to stop, in a sentence; None while it is not.
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
    """Ids of the labelled rows that are a random sample of all rows.

    Rows are drawn in the order of their keys, which are hashes. So all rows up to the last one that was drawn are a
    random sample, those too that a strategy chose first; without these, what is hard would be missing from it.
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
    """Judge what labels have brought.

    Args:
        model: says task and classes.
        embeddings, codes: of the labelled rows, shape (n, width) and as in `label_codes`.
        labels: n, the earliest first, under the names of `classes`.
        sample: ids of rows of the random sample.
        confirmed: ids of rows that were looked at twice: their labels are not suspected again.
        predictions: codes of the same rows after each refit, the latest last.
    """
    probabilities = out_of_fold(model, embeddings, codes)
    decided = model.decide(probabilities)
    right = (decided == codes).reshape(len(codes), -1).all(axis=1)
    judged = np.flatnonzero([label.row in sample for label in labels])
    accuracy = low = high = curve = None
    if len(judged) >= ENOUGH:
        accuracy, low, high = _interval(int(right[judged].sum()), len(judged))
        sizes, correct = correct_by_size(model, embeddings, codes, judged)
        correct[-1] = right[judged]  # with all labels: the accuracy that is told, so that the curve ends at it
        curve = forecast(sizes, correct) if len(sizes) > 1 else None
    confidence = label_confidence(probabilities, codes)
    suspicions = [
        Suspicion(
            labels[i].row, labels[i].id, _names(codes[i], classes), _names(decided[i], classes), float(confidence[i])
        )
        for i in suspected_errors(probabilities, codes)
        if confidence[i] < DOUBT and labels[i].row not in confirmed and not right[i]
    ]
    most = max(1, int(DOUBTED * len(labels)))
    return Assessment(
        len(labels), len(judged), accuracy, low, high, curve, suspicions[:most],
        _stop(predictions, curve) if len(judged) >= SAFE else None,
    )  # fmt: skip


def _interval(successes: int, trials: int) -> tuple[float, float, float]:
    interval = binomtest(successes, trials).proportion_ci(method="wilson")
    return successes / trials, float(interval.low), float(interval.high)


def _names(code: np.ndarray, classes: Sequence[str]) -> str | list[str]:
    return classes[int(code)] if np.ndim(code) == 0 else [classes[i] for i in np.flatnonzero(code)]


def _stop(predictions: Sequence[np.ndarray], curve: Forecast | None) -> str | None:
    if curve is None:
        return None
    if stabilised(predictions):
        return "The last three models predict the same of nearly all texts."
    if curve.gain < WORTH:
        return f"{MORE} more labels promise less than half a point of accuracy."
    return None


def class_counts(labels: Iterable[Label], classes: Sequence[str], task: str) -> dict[str, int]:
    """How many labels each class has.

    Args:
        labels: under the names of `classes`.
    """
    counts = dict.fromkeys(classes, 0)
    for label in labels:
        for name in (label.label or []) if task == MULTI else [label.label]:
            if name in counts:
                counts[name] += 1
    return counts


def suggestion_agreement(labels: Sequence[Label]) -> dict[str, tuple[int, int]]:
    """How often the latest suggestions were the label, where they were shown and where they were hidden.

    Both are of texts chosen alike: where it is much oftener of those that were shown, suggestions lead.

    Returns:
        For "shown" and "hidden" how often, and of how many.
    """
    latest = [label for label in labels if label.suggestion][-LATEST:]
    kinds = {"shown": [x for x in latest if x.shown], "hidden": [x for x in latest if not x.shown]}
    return {kind: (sum(x.suggestion["label"] == x.label for x in of), len(of)) for kind, of in kinds.items()}


def people_agreement(history: Iterable[Label]) -> tuple[int, int]:
    """Of the rows that several people labelled, on how many they agree, and how many these rows are.

    Args:
        history: all labels that were not undone, the earliest first; of a person's labels of a row the last counts.
    """
    by_row: dict[int, dict[str, str | list[str] | None]] = {}
    for label in history:
        by_row.setdefault(label.row, {})[label.who] = label.label
    shared = [list(labels.values()) for labels in by_row.values() if len(labels) > 1]
    return sum(all(label == labels[0] for label in labels) for labels in shared), len(shared)
