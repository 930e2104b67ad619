"""Any number of classes per row."""

import warnings
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from kickbert.targets.base import PREDICTED, Column, Thresholds, probability_columns, probability_records
from kickbert.targets.label_cells import from_columns, label_lists, multi_hot_width, split_cells
from kickbert.targets.label_numbers import LabelNumbers
from kickbert.targets.labels import Labels, ordered_classes
from kickbert.targets.options import TargetOptions
from kickbert.utils.messages import plural


@dataclass(frozen=True)
class MultiLabels(Labels):
    """Any number of classes per row, including none.

    Args:
        classes: the classes in order.
        delim: the delimiter between the labels of a cell; None for lists, or for one column per class.
        columns: whether each class is a column of zeros and ones.
        multi_hot: whether cells are lists of zeros and ones, one position per class.
    """

    delim: str | None = None
    columns: bool = False
    multi_hot: bool = False

    task: ClassVar[str] = "multi-label"
    shown_scores: ClassVar[tuple[str, ...]] = (
        "micro-F1",
        "macro-F1",
        "subset accuracy",
        "average precision",
        "Hamming loss",
    )
    is_multilabel: ClassVar[bool] = True
    codes_dtype: ClassVar[type[np.generic]] = np.float32
    problem_type: ClassVar[str] = "multi_label_classification"
    phrase: ClassVar[str] = "any of"

    @classmethod
    def read(cls, values: Column, options: TargetOptions) -> tuple[Column, TargetOptions]:
        return values if isinstance(values, pd.DataFrame) else split_cells(values, options.delim), options

    @classmethod
    def fit(cls, values: Column, options: TargetOptions) -> Self:
        delim = options.delim
        labels = None if options.labels is None else tuple(options.labels)
        if isinstance(values, pd.DataFrame):
            from_columns(values)  # checks them
            return cls(tuple(values.columns), columns=True)
        if width := multi_hot_width(values, delim):
            if labels is not None and len(labels) != width:
                raise ValueError(
                    f"labels={list(labels)} are {len(labels)} names, and the lists of column {values.name!r} have "
                    f"{width} positions; give a name for each"
                )
            return cls(labels or tuple(range(width)), delim=delim, multi_hot=True)
        present = {label for row in label_lists(values, delim, width=0) for label in row}
        if len(present) < 2:
            raise ValueError(
                f"column {values.name!r} holds {len(present)} labels, {list(present)}; is label_delim={delim!r} the "
                "delimiter between them?"
            )
        if delim is None and all(len(cell) <= 1 for cell in values):
            empty = sum(not len(cell) for cell in values)
            held = f"one label or, in {plural(empty, 'row')}, none" if empty else "one label"
            warnings.warn(
                f"each list of column {values.name!r} holds {held}. If a row never has more, train a classifier of "
                f"one label: df[{values.name!r}].str[0]",
                stacklevel=5,
            )
        return cls(tuple(ordered_classes(values, present, labels)), delim=delim)

    @classmethod
    def strata(cls, values: Column) -> np.ndarray:
        if isinstance(values, pd.DataFrame):
            return from_columns(values)
        from sklearn.preprocessing import MultiLabelBinarizer  # a predictor does not need it

        return MultiLabelBinarizer().fit_transform([map(str, labels) for labels in label_lists(values)])

    @classmethod
    def activate(cls, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        return 0.5 * (1 + np.tanh(outputs / temperature / 2))  # a sigmoid that does not overflow

    @classmethod
    def logits(cls, probs: np.ndarray) -> np.ndarray:
        info = np.finfo(np.float32)
        probs = np.clip(probs, info.tiny, 1 - info.epsneg)
        return np.log(probs) - np.log1p(-probs)

    def encode(self, values: Column) -> np.ndarray:
        """Zeros and ones, float32, shape (n, classes); labels that are not classes are ignored."""
        if self.columns:
            return from_columns(values[list(self.classes)])
        numbers, lists = self._lists(values)
        codes = np.zeros((len(values), len(self.classes)), dtype=np.float32)
        for row, labels in enumerate(lists):
            codes[row, [number for label in labels if (number := numbers.find(label)) >= 0]] = 1
        return codes

    def _lists(self, values: pd.Series) -> tuple[LabelNumbers, list[list[Hashable]]]:
        """Return the number of each label by its name in cells, and the labels of each row."""
        known = range(len(self.classes)) if self.multi_hot else self.classes
        width = len(self.classes) if self.multi_hot else 0
        return LabelNumbers(known), label_lists(values, self.delim, width)

    def unknown(self, values: Column) -> tuple[np.ndarray, list[str]]:
        if self.columns:
            return np.zeros(len(values), dtype=bool), []
        numbers, lists = self._lists(values)
        unseen = [{label for label in labels if numbers.find(label) < 0} for labels in lists]
        return np.array([bool(row) for row in unseen]), sorted({str(label) for row in unseen for label in row})

    def shown(self, code: Any) -> Any:
        return [self.names[i] for i in np.flatnonzero(code)]

    @classmethod
    def decide(cls, probs: np.ndarray, thresh: Thresholds = 0.5) -> np.ndarray:
        """Zeros and ones, shape (n, labels): the labels that reach their threshold."""
        return (probs >= np.asarray(thresh, dtype=probs.dtype)).astype(np.float32)

    def frame(self, probs: np.ndarray, codes: np.ndarray, index: pd.Index) -> pd.DataFrame:
        """Predictions: the list of labels over their thresholds, and a probability for each class."""
        labels = pd.Series([self.decode(np.flatnonzero(row)) for row in codes], index=index, dtype=object)
        return pd.concat([labels.rename(PREDICTED), probability_columns(probs, self.names, index)], axis=1)

    def records(self, probs: np.ndarray, codes: np.ndarray) -> list[dict[str, Any]]:
        labels = [self.decode(np.flatnonzero(row)) for row in codes]
        probabilities = probability_records(probs, self.names)
        return [{"labels": row, **more} for row, more in zip(labels, probabilities, strict=True)]

    def constant(self, codes: np.ndarray) -> np.ndarray:
        """The share of rows with each label."""
        return codes.mean(0)

    def row_errors(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """The Hamming loss."""
        return (y_true != y_pred).mean(1)

    def row_scores(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """The F1 of the row's labels."""
        both = (y_pred.astype(bool) & y_true.astype(bool)).sum(1)
        return 2 * both / (y_pred.sum(1) + y_true.sum(1)).clip(min=1)
