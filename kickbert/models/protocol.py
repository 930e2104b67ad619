"""The protocol that a learner and a predictor both satisfy: what takes a model need not ask which of the two it is."""

from typing import Any, Protocol

import numpy as np
import pandas as pd

from kickbert.targets.kinds import Target

Labelled = tuple[list[str], np.ndarray]  # texts, and the codes of their target


class TextModel(Protocol):
    """A trained model of texts: `GradualLearner` and `Predictor`."""

    @property
    def target(self) -> Target:
        """What is predicted."""

    @property
    def text_col(self) -> list[str]:
        """The columns that it reads."""

    @property
    def label_col(self) -> str | list[str]:
        """The column, or columns, that it was trained to predict."""

    @property
    def metadata(self) -> dict[str, Any]:
        """What `kickbert.json` says of it: task, encoder, head, tokens, rows, versions."""

    @property
    def fingerprint(self) -> str:
        """A hash of all that its predictions depend on but the texts: weights, tokenizer, temperature, precision."""

    def read(self, items: Any) -> tuple[list[str], np.ndarray]:
        """Texts, cleaned and with their columns joined, and which rows have none (bool, shape (n,))."""

    def predict(self, texts: Any) -> Any:
        """Labels: a predictor's of one text or of many, a list; a learner's as fastai gives them, of one."""

    def predict_proba(self, texts: Any) -> np.ndarray:
        """Probabilities, float32, shape (n, classes); of a number, standardised, shape (n, 1)."""

    def predict_df(self, df: pd.DataFrame, min_confidence: float | None = None) -> pd.DataFrame:
        """Predictions of the rows of df, indexed like it."""

    def decide(self, probs: np.ndarray) -> np.ndarray:
        """Decisions by probabilities: class numbers, or zeros and ones of several labels."""

    def explain(self, text: Any, label: Any = None, method: str = ...) -> Any:
        """An `Explanation` of one prediction."""

    def labelled_rows(self, part: str) -> Labelled | None:
        """The rows of "train" or "valid" that it has at hand; None for a model without its rows."""


def is_model(value: Any) -> bool:
    """Whether a value is a learner or a predictor, and not labels, predictions or a function."""
    methods = ("read", "predict_proba", "predict_df", "decide", "explain", "labelled_rows")
    return all(hasattr(type(value), name) for name in methods)  # of the class: a property may take its time
