"""Prediction by a learner, as the protocol `models.protocol.TextModel` has it in common with a predictor."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from kickbert.evaluation.attribution import attribute
from kickbert.evaluation.explanation import Explanation
from kickbert.models.protocol import Labelled
from kickbert.models.saving import artifact_metadata
from kickbert.targets.kinds import Target
from kickbert.targets.outputs import prediction_frame
from kickbert.text.columns import without_text
from kickbert.training.callbacks import LeanLearner


class PredictingLearner(LeanLearner):
    """A fastai Learner of texts that predicts as a `Predictor` does; `predict` and `get_preds` are fastai's."""

    @property
    def target(self) -> Target:
        """What is predicted."""
        return self.dls.target

    @property
    def text_col(self) -> list[str]:
        """The columns that it reads."""
        return self.dls.text_col

    @property
    def label_col(self) -> str | list[str]:
        """The column, or columns, that it is trained to predict."""
        return self.dls.label_col

    @property
    def metadata(self) -> dict[str, Any]:
        """Task, encoder, head, tokens, rows, versions: what `kickbert.json` will say of it."""
        return artifact_metadata(self)

    def read(self, items: Any) -> tuple[list[str], np.ndarray]:
        """Texts, cleaned and with their columns joined, and which rows have none (bool, shape (n,))."""
        return self.dls.read(items)

    def predict_proba(self, texts: Any) -> np.ndarray:
        """Probabilities, float32, shape (n, classes); of a number, standardised, shape (n, 1).

        Args:
            texts: a DataFrame with the text columns, or strings, tuples (a text for each column) or dicts.
        """
        return self.get_preds(dl=self.dls.test_dl(texts))[0].numpy()

    def decide(self, probs: np.ndarray) -> np.ndarray:
        """Decisions by probabilities, as the loss makes them: class numbers, or zeros and ones of several labels."""
        return self.loss_func.decodes(torch.from_numpy(probs)).numpy()

    def explain(self, text: Any, label: Any = None, method: str = "gradients", **options: Any) -> Explanation:
        """Explain a prediction by the words for and against a class; arguments as for `evaluation.attribution`."""
        return attribute(self, text, label, method, **options)

    def labelled_rows(self, part: str) -> Labelled | None:
        """Texts and codes of the "train" or "valid" rows; None for a learner that was loaded without rows."""
        dl = {"train": self.dls.train, "valid": self.dls.valid}[part]
        if not len(dl.dataset):
            return None
        return [row.text for row in dl.dataset.tls[0].items], dl.rows[1].numpy()

    def predict_df(self, df: pd.DataFrame, min_confidence: float | None = None) -> pd.DataFrame:
        """Predict the rows of df.

        Args:
            df: has the text columns that the learner was made with.
            min_confidence: below which a row gets no label (`kickbert.threshold_for` finds one); None for always.
        Returns:
            Indexed like df: `label`, `confidence`, and `prob_<class>` for each class; for bins also `expected`, in the
            target's own unit; for several labels a list `labels` and the probabilities; for a number `value`. A row
            with no text gets none.
        """
        dl = self.dls.test_dl(df)
        probs = self.get_preds(dl=dl)[0].numpy()
        empty = without_text([row.text for row in dl.dataset.tls[0].items])
        return prediction_frame(self.target, probs, self.decide(probs), df.index, empty, min_confidence)
