"""Predictions of rows and their true labels: the input of evaluation, error analysis, calibration and plots."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from kickbert.data.tables.annotations import check_no_export
from kickbert.models.protocol import is_model
from kickbert.targets.base import Target
from kickbert.targets.label_cells import labeled_rows
from kickbert.targets.labels import Labels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.targets.outputs import median_note
from kickbert.text.columns import as_list, check_columns, pick
from kickbert.utils.messages import plural, row_names


@dataclass(frozen=True)
class Predictions:
    """Probabilities, predicted classes and true classes of the same rows, as codes of the target.

    Args:
        target: target of the model.
        probs: probabilities, shape (n, classes), or standardized numbers, shape (n, 1).
        y_pred: predicted class numbers, shape (n,), zeros and ones, shape (n, labels), or standardized numbers.
        y_true: true values in the same form (numbers: shape (n,) is fine too); None if they are unknown.
        texts: texts of the rows, with a separator between columns.
        df: the rows, if they came as a DataFrame.
        notes: notes for a reader of the scores.
    Raises:
        ValueError: a probability is NaN or infinite.
    """

    target: Target
    probs: np.ndarray
    y_pred: np.ndarray
    y_true: np.ndarray | None = None
    texts: list[str] = field(default_factory=list)
    df: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        bad = ~np.isfinite(self.probs).reshape(len(self.probs), -1).all(1)
        if bad.any():
            raise ValueError(
                f"{bad.sum():,} of {plural(len(bad), 'row')} have probabilities that are not finite: training "
                "diverged. Train again with a lower learning rate or with precision='fp32'"
            )

    def __len__(self) -> int:
        return len(self.probs)

    @property
    def labels(self) -> np.ndarray:
        """True codes of the rows, as in `y_true`.

        Raises:
            ValueError: they are unknown.
        """
        if self.y_true is None:
            raise ValueError("the rows have no labels. Give predictions of rows with labels")
        return self.y_true

    @property
    def wrong(self) -> np.ndarray:
        """Whether each row is misclassified (with several labels: in any of them), bool, shape (n,)."""
        return (self.y_pred != self.y_true).reshape(len(self), -1).any(1)

    @property
    def confidence(self) -> np.ndarray:
        """Probability of the predicted class, shape (n,); with several labels, that of the least certain one."""
        if self.target.is_multilabel:
            return np.where(self.y_pred.astype(bool), self.probs, 1 - self.probs).min(1)
        return self.probs[np.arange(len(self)), self.y_pred]

    @property
    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """True and predicted numbers in the target's own unit, each of shape (n,)."""
        target: Any = self.target
        y_true, y_pred = (codes.reshape(-1).astype(float) for codes in (self.labels, self.probs))
        return target.inverse_transform(y_true), target.inverse_transform(y_pred)

    def to_frame(self) -> pd.DataFrame:
        """The predictions as `predict_df` returns them, one row each."""
        index = pd.RangeIndex(len(self)) if self.df is None else self.df.index
        return self.target.frame(self.probs, self.y_pred, index)

    @classmethod
    def from_model(cls, model: Any, df: pd.DataFrame | None = None) -> "Predictions":
        """Predict with a learner or a predictor.

        Rows without text and rows of a class that was not in the training data are skipped, and a note says so.

        Args:
            model: a learner or a predictor.
            df: rows with or without labels; None for a learner's validation rows.
        Raises:
            ValueError: neither validation rows nor df, or no row left.
        """
        if df is None:
            return cls._of_validation(model)
        texts, empty = model.read(df)
        has_labels = all(c in df.columns for c in as_list(model.label_col))
        if has_labels:
            check_no_export(df)
            check_columns(df, label_col=as_list(model.label_col))
        values = pick(df, model.label_col) if has_labels else None
        keep, notes = _usable(model.target, values, ~empty, df.index)
        df, texts = df[keep], [text for text, kept in zip(texts, keep, strict=True) if kept]
        probs = model.predict_proba(df)
        y_true = None if values is None else model.target.encode(values[keep])
        y_pred = model.decide(probs)
        notes = (*notes, *filter(None, [median_note(model.target, probs, y_pred)]))
        return cls(model.target, probs.astype(float), y_pred, y_true, texts, df, notes)

    @classmethod
    def _of_validation(cls, learn: Any) -> "Predictions":
        rows = learn.labeled_rows("valid")
        if rows is None:
            raise ValueError("the model has no validation rows. Give a DataFrame: evaluate(model, df)")
        probs, y_true, y_pred = learn.get_preds(ds_idx=1, with_decoded=True)
        note = "These are validation rows: scores are too good if you chose thresholds, epochs or settings by them"
        probs, y_pred = probs.double().numpy(), y_pred.numpy()
        notes = (note, *filter(None, [median_note(learn.target, probs, y_pred)]))
        return cls(learn.target, probs, y_pred, y_true.numpy(), rows[0], notes=notes)

    @classmethod
    def from_probabilities(cls, y_true: Any, probs: Any, names: list | None = None) -> "Predictions":
        """Take labels and probabilities from any source; the most probable class is the predicted one.

        Args:
            y_true: class names, or class numbers if `names` is None, shape (n,); zeros and ones for several labels,
                shape (n, labels).
            probs: shape (n, classes).
            names: class names in the order of the columns.
        Raises:
            ValueError: shapes that do not fit, or an unknown class.
        """
        y_true, probs = np.asarray(y_true), np.asarray(probs, dtype=float)
        multilabel = y_true.ndim == 2
        if probs.ndim != 2 or len(y_true) != len(probs) or (multilabel and y_true.shape != probs.shape):
            raise ValueError(
                f"y_true of shape {y_true.shape} does not fit probabilities of shape {probs.shape}. Give one class per "
                "row, or zeros and ones for each label, and one column of probabilities per class"
            )
        names = list(range(probs.shape[1])) if names is None else list(names)
        if len(names) != probs.shape[1]:
            raise ValueError(
                f"{len(names)} names for {probs.shape[1]} columns of probabilities. Give one name per column"
            )
        if multilabel:
            return cls(MultiLabels(tuple(names)), probs, probs >= 0.5, y_true.astype(np.float32))
        target = Labels(tuple(names))
        codes = target.encode(pd.Series(y_true))
        if (codes < 0).any():
            raise ValueError(
                f"y_true contains {y_true[codes < 0].tolist()[0]!r}, which is not a class. Classes: {names}"
            )
        return cls(target, probs, probs.argmax(1), codes)


def as_predictions(source: Any) -> Predictions:
    """Take predictions from an evaluation or a cross-validation, or a learner's predictions of its validation rows.

    Args:
        source: `Predictions`, an object with `.predictions`, or a learner.
    Raises:
        TypeError: anything else.
        ValueError: a model without validation rows.
    """
    if isinstance(source, Predictions):
        return source
    if is_model(source):
        return Predictions.from_model(source)
    if isinstance(held := getattr(source, "predictions", None), Predictions):
        return held
    raise TypeError(f"source is a {type(source).__name__}. Give a learner, an evaluation, or Predictions")


def _usable(target: Target, values: Any, keep: np.ndarray, index: pd.Index) -> tuple[np.ndarray, tuple[str, ...]]:
    """Find the rows that can be evaluated (bool, shape (n,)), and write notes about the others.

    Args:
        values: the labels; None if they are unknown.
        keep: rows with a text, bool, shape (n,).
    Raises:
        ValueError: there are none.
    """
    notes: list[str] = []
    if values is not None:
        keep = keep & labeled_rows(values)
        unseen, classes = target.unknown(values[keep])
        if unseen.any():
            rows = np.flatnonzero(keep)[unseen]
            names = ", ".join(map(repr, classes[:5]))
            labels = "whose label was" if len(rows) == 1 else "whose labels were"
            what = "Ignored labels of" if target.is_multilabel else "Skipped"
            notes.append(f"{what} {plural(len(rows), 'row')} {labels} not in the training data: {names}")
            warnings.warn(f"{notes[-1]} (rows {row_names(rows, index)})", stacklevel=4)
            keep[rows] = target.is_multilabel
    if not keep.any():
        raise ValueError(f"none of {plural(len(keep), 'row')} has a text and a label that the model knows")
    if not keep.all() and not notes:
        notes.append(f"Skipped {plural((~keep).sum(), 'row')} without text or label")
    return keep, tuple(notes)
