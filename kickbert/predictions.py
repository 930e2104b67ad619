"""What a model says of rows, beside what is true of them. It is what every judgement of a model starts from."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from kickbert.frames import as_list, named, pick
from kickbert.targets import MULTI, SINGLE, Labels, MultiLabels, Target


@dataclass(frozen=True)
class Predictions:
    """Rows, what is true, and what a model says.

    Args:
        target: what is predicted.
        probs: probabilities, shape (n, classes), or standardised numbers, shape (n, 1).
        decided: what was decided by them: class numbers, shape (n,), zeros and ones, shape (n, labels), or as `probs`.
        truth: codes of the target, of the shape of `decided`; None where it is not known.
        texts: the rows' texts; the separator stands between columns.
        df: the rows, where they came as a DataFrame.
        notes: what a reader of the scores must know.
    Raises:
        ValueError: probabilities that are no numbers.
    """

    target: Target
    probs: np.ndarray
    decided: np.ndarray
    truth: np.ndarray | None = None
    texts: list[str] = field(default_factory=list)
    df: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        bad = ~np.isfinite(self.probs).reshape(len(self.probs), -1).all(1)
        if bad.any():
            raise ValueError(
                f"{bad.sum():,} of {len(bad):,} rows have probabilities that are no numbers: the model has diverged; "
                "train it again with a smaller rate or with precision='fp32'"
            )

    def __len__(self) -> int:
        return len(self.probs)

    @property
    def wrong(self) -> np.ndarray:
        """Which rows were decided wrongly (any label of several), bool, shape (n,)."""
        return (self.decided != self.truth).reshape(len(self), -1).any(1)

    @property
    def confidence(self) -> np.ndarray:
        """Probability of what was decided, shape (n,); of several labels that of the least certain."""
        if self.target.task == MULTI:
            return np.where(self.decided.astype(bool), self.probs, 1 - self.probs).min(1)
        return self.probs[np.arange(len(self)), self.decided]

    def frame(self) -> pd.DataFrame:
        """The predictions as `predict_df` gives them."""
        index = pd.RangeIndex(len(self)) if self.df is None else self.df.index
        return self.target.frame(self.probs, self.decided, index)

    @classmethod
    def of(cls, learn: Any, df: pd.DataFrame | None = None) -> "Predictions":
        """What a learner says of a DataFrame, or of its validation rows.

        Rows without text are left out; so are rows of a class that training never saw, and a note says so.

        Raises:
            ValueError: no validation rows and no df, or no row left.
        """
        if df is None:
            return cls._of_validation(learn)
        dls, notes = learn.dls, []
        known = all(c in df.columns for c in as_list(dls.label_col))
        texts, empty = dls.read(df)
        keep = ~empty
        values = pick(df, dls.label_col) if known else None
        if known and dls.target.task != MULTI:
            keep &= values.notna().to_numpy()
        if known:
            bad, strange = dls.target.unknown(values[keep])
            if bad.any() and dls.target.task != MULTI:
                rows = np.flatnonzero(keep)[bad]
                notes.append(
                    f"{len(rows):,} rows of classes that training never saw ({', '.join(strange[:5])}) are left out: "
                    "the model cannot be right about them"
                )
                warnings.warn(f"{notes[-1]}: rows {named(rows, df.index)}", stacklevel=3)
                keep[rows] = False
        if not keep.any():
            raise ValueError(f"none of the {len(df):,} rows can be judged: no text, no label, or none that is known")
        if not keep.all() and not notes:
            notes.append(f"{(~keep).sum():,} rows without text or label are left out")
        df, texts = df[keep], [text for text, kept in zip(texts, keep, strict=True) if kept]
        probs, truth, decided = learn.get_preds(dl=dls.test_dl(df, with_labels=known), with_decoded=True)
        return cls(dls.target, *_arrays(probs, decided, truth if known else None), texts, df, tuple(notes))

    @classmethod
    def _of_validation(cls, learn: Any) -> "Predictions":
        if not len(learn.dls.valid_ds):
            raise ValueError("the learner has no validation rows; give a DataFrame to judge it by: evaluate(learn, df)")
        probs, truth, decided = learn.get_preds(ds_idx=1, with_decoded=True)
        texts = [row.text for row in learn.dls.valid_ds.tls[0].items]
        note = "validation rows: what was chosen by them (thresholds, epochs, settings) looks better on them"
        return cls(learn.dls.target, *_arrays(probs, decided, truth), texts, notes=(note,))

    @classmethod
    def given(cls, truth: Any, probs: Any, names: list | None = None) -> "Predictions":
        """Of labels and probabilities that anything made.

        Args:
            truth: class names, or class numbers where `names` is None, shape (n,); zeros and ones of several labels,
                shape (n, labels).
            probs: shape (n, classes).
            names: of the classes, in the columns' order.
        Raises:
            ValueError: shapes that do not go together, or a class that is none.
        """
        truth, probs = np.asarray(truth), np.asarray(probs, dtype=float)
        several = truth.ndim == 2
        if probs.ndim != 2 or len(truth) != len(probs) or (several and truth.shape != probs.shape):
            raise ValueError(
                f"truth of shape {truth.shape} and probabilities of shape {probs.shape} do not go together; give a "
                "class for each row, or zeros and ones for each label, and a column of probabilities for each class"
            )
        names = list(range(probs.shape[1])) if names is None else list(names)
        if len(names) != probs.shape[1]:
            raise ValueError(f"{len(names)} names for {probs.shape[1]} columns of probabilities; give a name for each")
        if several:
            return cls(MultiLabels(tuple(names)), probs, probs >= 0.5, truth.astype(np.float32))
        target = Labels(tuple(names), SINGLE)
        codes = target.encode(pd.Series(truth))
        if (codes < 0).any():
            raise ValueError(f"truth holds {truth[codes < 0].tolist()[0]!r}, which is no class; classes are {names}")
        return cls(target, probs, probs.argmax(1), codes)


def _arrays(probs: Any, decided: Any, truth: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    return probs.double().numpy(), decided.numpy(), None if truth is None else truth.numpy()
