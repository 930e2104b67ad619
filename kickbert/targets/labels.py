"""One of several classes, with or without an order."""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import pandas as pd

from kickbert.targets.base import PREDICTED, Column, Target, Thresholds, probability_columns, probability_records
from kickbert.targets.label_cells import LISTS, check_no_dicts
from kickbert.targets.label_numbers import LabelNumbers
from kickbert.targets.options import TargetOptions

STORED = (str, bool, int, float, np.generic)  # types of labels that JSON holds
BOOLEANS = (bool, np.bool_)
NUMBERS = (*BOOLEANS, int, float, np.number)
MANY = 100  # maximum distinct numbers that are treated as classes
Array = TypeVar("Array")


def median_class(probs: Array) -> Array:
    """Return the median class, which has the smallest expected absolute error in ranks.

    CORN decides in this way (Shi, Cao and Raschka 2021, section 3.4): one rank up for each "is it above?" that is more
    likely than not.

    Args:
        probs: a NumPy array or a torch tensor, shape (n, classes).
    Returns:
        Class numbers of the same type, shape (n,).

    >>> median_class(np.array([[0.4, 0.2, 0.4], [0.1, 0.2, 0.7]]))
    array([1, 2])
    """
    below = (probs.cumsum(-1) < 0.5).sum(-1)  # type: ignore[attr-defined]
    return below.clip(max=probs.shape[-1] - 1)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Labels(Target):
    """One of several named classes: strings, ints, bools or categories.

    Args:
        classes: the values as they are in the column, in order.

    >>> Labels(("bad", "good")).to_dict()
    {'kind': 'Labels', 'classes': ['bad', 'good']}
    """

    classes: tuple[Any, ...]

    task: ClassVar[str] = "single label"
    shown_scores: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "macro-F1",
        "balanced accuracy",
        "ROC-AUC",
        "expected calibration error",
    )
    json_fields: ClassVar[dict[str, Any]] = {"classes": list}

    @property
    def names(self) -> list[str]:
        """Display names of the classes."""
        return [str(c) for c in self.classes]

    @classmethod
    def fit(cls, values: Column, options: TargetOptions) -> Self:
        return cls(tuple(_classes(values, options.labels)))

    @classmethod
    def strata(cls, values: Column) -> np.ndarray:
        return values.astype(str).to_numpy()

    @classmethod
    def activate(cls, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        outputs = outputs / temperature
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    @classmethod
    def logits(cls, probs: np.ndarray) -> np.ndarray:
        return np.log(np.maximum(probs, np.finfo(np.float32).tiny))

    def encode(self, values: Column) -> np.ndarray:
        """Class numbers, int64, shape (n,); -1 for a value that is not a class.

        A label of another type counts as the class that is written like it: "1" as 1, "TRUE" as True.

        Raises:
            ValueError: the column holds lists or dicts.
        """
        _check_no_lists(values)
        numbers = LabelNumbers(self.classes)
        return np.array([numbers.find(label) for label in values.astype(object)], dtype=np.int64)

    def unknown(self, values: Column) -> tuple[np.ndarray, list[str]]:
        bad = self.encode(values) < 0
        return bad, sorted({str(v) for v in values[bad]})

    def decode(self, codes: Sequence[int] | np.ndarray) -> list[Any]:
        """Convert class numbers to classes as in the column."""
        return [self.classes[int(i)] for i in codes]

    def shown(self, code: Any) -> Any:
        return self.names[code]

    @classmethod
    def decide(cls, probs: np.ndarray, thresh: Thresholds = 0.5) -> np.ndarray:
        """The most likely class, shape (n,)."""
        return probs.argmax(1)

    def frame(self, probs: np.ndarray, codes: np.ndarray, index: pd.Index) -> pd.DataFrame:
        """Predictions: predicted_label, confidence, and a probability for each class."""
        labels = pd.Series(self.decode(range(len(self.classes))))  # its type does not depend on the rows
        out = labels.take(codes).set_axis(index).to_frame(PREDICTED)
        out["confidence"] = probs[np.arange(len(probs)), codes]
        return pd.concat([out, probability_columns(probs, self.names, index)], axis=1)

    def records(self, probs: np.ndarray, codes: np.ndarray) -> list[dict[str, Any]]:
        probabilities = probability_records(probs, self.names)
        confidences = probs[np.arange(len(probs)), codes].tolist()
        return [
            {"label": label, "confidence": confidence, **more}
            for label, confidence, more in zip(self.decode(codes), confidences, probabilities, strict=True)
        ]

    def constant(self, codes: np.ndarray) -> np.ndarray:
        """The share of each class."""
        return np.bincount(codes, minlength=len(self.names)) / len(codes)

    def row_errors(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """The 0-1 loss."""
        return (y_true != y_pred).astype(float)

    def describe(self) -> str:
        """Describe the target in one line.

        >>> Labels(("bad", "good")).describe()
        'single label: 2 classes (bad, good)'
        """
        names = self.names
        listed = ", ".join(names[:6]) + (f", … {names[-1]}" if len(names) > 6 else "")
        return f"{self.task}: {len(names)} classes ({listed})"


@dataclass(frozen=True)
class OrderedLabels(Labels):
    """One of several classes that have an order.

    Args:
        classes: the values as they are in the column, from the lowest to the highest.
    """

    task: ClassVar[str] = "ordinal"
    # The decision is the median class, which costs accuracy but reduces the distance: kappa accounts for both.
    shown_scores: ClassVar[tuple[str, ...]] = (
        "quadratic kappa",
        "accuracy",
        "macro-F1",
        "mean absolute error, buckets",
        "expected calibration error",
    )
    is_ordered: ClassVar[bool] = True
    phrase: ClassVar[str] = "one of the ordered classes"

    @classmethod
    def fit(cls, values: Column, options: TargetOptions) -> Self:
        numeric = pd.api.types.is_numeric_dtype(values)
        ordered = isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered
        if options.labels is None and not numeric and not ordered:
            raise ValueError(
                f"task='ordinal' needs the order of {values.name!r}: give labels in order, bins for a numeric column, "
                "or make it an ordered pd.Categorical"
            )
        return super().fit(values, options)

    @classmethod
    def decide(cls, probs: np.ndarray, thresh: Thresholds = 0.5) -> np.ndarray:
        """The median class, shape (n,)."""
        return median_class(probs)

    def row_errors(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """The absolute error in ranks."""
        return np.abs(y_true - y_pred).astype(float)

    def row_scores(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return 1 - self.row_errors(y_true, y_pred) / max(1, len(self.classes) - 1)

    def describe(self) -> str:
        return f"{super().describe()}; the label is their median"


def _classes(values: pd.Series, labels: Sequence[Any] | None) -> list[Any]:
    """List the classes of a column.

    Raises:
        ValueError: the column has lists, booleans beside numbers, a single class, or a class per row.
    """
    _check_no_lists(values)
    if values.dtype == object and len({isinstance(cell, BOOLEANS) for cell in values if isinstance(cell, NUMBERS)}) > 1:
        raise ValueError(
            f"column {values.name!r} holds booleans beside numbers, and True equals 1; make them one type, as with "
            ".astype(str)"
        )
    categories = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else None
    classes = ordered_classes(values, values.unique().tolist(), labels, categories)
    if len(classes) < 2:
        raise ValueError(f"column {values.name!r} holds only one class, {classes}; a classifier needs at least two")
    many = pd.api.types.is_float_dtype(values) and len(classes) > MANY
    if labels is None and (len(classes) == len(values) or many):
        raise ValueError(
            f"column {values.name!r} holds {len(classes):,} different values in {len(values):,} rows, such as "
            f"{values.iloc[0]!r}, so these are not classes. Give the label column; for a number, bins=4 or "
            "task='regression'; for one row per class, the classes: labels=[…]"
        )
    return classes


def _check_no_lists(values: pd.Series) -> None:
    """Check that no cell holds several labels.

    Raises:
        ValueError: a cell is a list or a dict.
    """
    check_no_dicts(values)
    lists = (cell for cell in values if isinstance(cell, LISTS))
    if (first := next(lists, None)) is not None:
        one = all(isinstance(cell, LISTS) and len(cell) == 1 for cell in values)
        hint = f"df[{values.name!r}].str[0] if each holds one label" if one else ".map(np.argmax) for one-hot lists"
        raise ValueError(
            f"column {values.name!r} holds lists, such as {first}, but the task has one label per row. Give only the "
            f"label: {hint}; or train for several labels per row: leave task out"
        )


def ordered_classes(
    values: pd.Series, present: Collection[Any], labels: Sequence[Any] | None, known: Sequence[Any] | None = None
) -> list[Any]:
    """Order the classes: as the caller lists them, otherwise as the categories, otherwise sorted.

    Args:
        values: the column, for messages.
        present: the labels in the column.
        labels: the caller's labels.
        known: the column's categories.
    Raises:
        ValueError: a label is not one of the caller's.
    """
    present = set(present)
    odd = next((label for label in present if not isinstance(label, STORED)), None)
    if odd is not None:
        raise ValueError(
            f"column {values.name!r} holds labels of type {type(odd).__name__}, such as {odd!r}, which a saved model "
            f"cannot hold. Make them text: df[{values.name!r}].astype(str); for ranges of a number, give the number "
            "and bins="
        )
    if labels is None and known is not None:
        return [c for c in known if c in present]
    if labels is None:
        alike = len({type(c) for c in present}) == 1
        return sorted(present, key=None if alike else lambda c: (str(c), type(c).__name__))
    unnamed = present - set(labels)
    absent = [c for c in labels if c not in present]
    if unnamed:
        name = min(unnamed, key=str)
        raise ValueError(
            f"column {values.name!r} holds {name!r}, which is not one of labels={list(labels)}; add it, or drop those "
            "rows"
        )
    if absent:
        warnings.warn(f"no training row has {absent[:5]} of labels, so the model will rarely predict it", stacklevel=6)
    return list(labels)
