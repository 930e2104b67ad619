"""The protocol that a learner and a predictor share, so that functions accept either."""

from typing import Any, Protocol, TypeGuard

import numpy as np
import pandas as pd

from kickbert.tabular.column_model import ColumnModel
from kickbert.targets.base import Target

Labeled = tuple[list[str], np.ndarray]  # texts and their target codes


class TextModel(Protocol):
    """A trained text model: a `GradualLearner` or a `Predictor`."""

    @property
    def target(self) -> Target:
        """The prediction target."""

    @property
    def text_col(self) -> list[str]:
        """The text columns."""

    @property
    def label_col(self) -> str | list[str]:
        """The label column or columns it was trained on."""

    @property
    def columns(self) -> ColumnModel | None:
        """The model of the columns beside the text; None if the model reads text alone."""

    @property
    def metadata(self) -> dict[str, Any]:
        """The contents of `kickbert.json`: task, encoder, head, tokens, rows, versions."""

    @property
    def fingerprint(self) -> str:
        """A hash of everything its predictions depend on except the texts."""

    def read(self, items: Any) -> tuple[list[str], np.ndarray]:
        """Return cleaned texts with their columns joined, and which rows have no text (bool, shape (n,))."""

    def predict_proba(self, texts: Any) -> np.ndarray:
        """Return probabilities, float32, shape (n, classes); standardized values, shape (n, 1), for regression."""

    def predict_df(self, df: pd.DataFrame, min_confidence: float | None = None) -> pd.DataFrame:
        """Return predictions with the index of `df`."""

    def decide(self, probs: np.ndarray) -> np.ndarray:
        """Turn probabilities into class numbers, or into zeros and ones for multi-label targets."""

    def explain(self, text: Any, label: Any = None, method: str = ...) -> Any:
        """Return an `Explanation` of one prediction."""

    def labeled_rows(self, part: str) -> Labeled | None:
        """Return the "train" or "valid" rows; None if the model does not have its rows."""


def is_model(value: Any) -> TypeGuard[TextModel]:
    """Return whether a value is a learner or a predictor, rather than labels, predictions or a function."""
    methods = ("read", "predict_proba", "predict_df", "decide", "explain", "labeled_rows")
    return all(hasattr(type(value), name) for name in methods)  # on the class: reading a property may be slow
