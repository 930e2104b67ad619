"""Evaluation of a model: scores with confidence intervals, beside baselines.

learner, df → `Predictions` → `evaluate` → `Evaluation`: a table, JSON, a table of classes
"""

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kickbert.evaluation import baselines
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import WeightedScores, class_scores, label_scores, number_scores, per_class
from kickbert.evaluation.significance import intervals
from kickbert.models.protocol import Labelled, is_model
from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION
from kickbert.targets.thresholds import best_thresholds
from kickbert.utils.atomic_files import replacing

ROUNDS = 500  # bootstrap samples of the intervals


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Scores of a model, and the predictions that they are of.

    Args:
        scores: score, model, low and high (95 % confidence interval by bootstrap), and a column for each baseline.
        classes: precision, recall, F1, rows, ROC-AUC and average precision of each class; None for numbers.
        predictions: of the rows evaluated, with their true labels.
    """

    scores: pd.DataFrame
    classes: pd.DataFrame | None
    predictions: Predictions

    @property
    def rows(self) -> int:
        """Number of rows evaluated."""
        return len(self.predictions)

    def __getitem__(self, score: str) -> float:
        """The model's score of that name.

        Raises:
            KeyError: there is no such score.
        """
        values = self.scores.loc[self.scores["score"] == score, "model"]
        if not len(values):
            raise KeyError(f"{score!r} is not among the scores; there are {list(self.scores['score'])}")
        return float(values.iloc[0])

    def __repr__(self) -> str:
        return "\n".join([self._rounded().to_string(index=False), f"{self.rows:,} rows", *self.predictions.notes])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.predictions.notes)
        return self._rounded().to_html(index=False) + notes

    def _rounded(self) -> pd.DataFrame:
        numbers = self.scores.select_dtypes("number").columns
        return self.scores.assign(**{c: self.scores[c].map("{:,.3f}".format).replace("nan", "") for c in numbers})

    def to_frame(self) -> pd.DataFrame:
        """The scores, a row each: score, model, low, high, a column for each baseline."""
        return self.scores

    def to_json(self, file: str | Path | None = None) -> str:
        """Scores and classes as JSON, null for what is undefined.

        Args:
            file: to write it to as well; None for none.
        """
        tables = {"scores": self.scores, "classes": self.classes}
        content = {
            name: json.loads(t.to_json(orient="records", double_precision=15))
            for name, t in tables.items()
            if t is not None
        }
        text = json.dumps({"rows": self.rows, "notes": list(self.predictions.notes), **content}, indent=1)
        if file is not None:
            with replacing(Path(file)) as part:
                part.write_text(text, encoding="utf-8")
        return text


def evaluate(learn: Any, df: Any = None, *, compare: bool = True, rounds: int = ROUNDS, seed: int = 0) -> Evaluation:
    """Evaluate a model: every usual score of its task with a 95 % confidence interval, beside two baselines.

    Args:
        learn: a learner or a predictor; or `Predictions`; or the true class of each row, if `df` holds probabilities.
        df: rows with their labels; None for the validation rows. Without the label column there are predictions alone.
        compare: whether to score the majority class and TF-IDF with a linear model too, trained on the same rows.
        rounds: bootstrap samples of the intervals.
        seed: of these.
    Returns:
        Scores, and the predictions, from which error analysis, plots and thresholds start.
    Raises:
        ValueError: no validation rows and no df, no row that can be evaluated, or shapes that do not go together.
    """
    if isinstance(learn, Predictions):
        predictions, train = learn, None
    elif is_model(learn):
        predictions, train = Predictions.from_model(learn, df), learn.labelled_rows("train")
    else:
        predictions, train = Predictions.from_probabilities(learn, df), None
    if predictions.y_true is None:
        return Evaluation(pd.DataFrame(columns=["score", "model", "low", "high"]), None, predictions)
    scores = scores_of(predictions)
    values = scores(np.ones(len(predictions)))
    table = pd.DataFrame({"score": list(values), "model": list(values.values())}).set_index("score")
    table = table.join(intervals(scores, len(predictions), rounds, seed))
    if compare and train is not None:
        for name, baseline in _baselines(predictions, *train, learn.labelled_rows("valid")).items():
            table[name] = pd.Series(scores_of(baseline)(np.ones(len(baseline))))
    classes = None
    if predictions.target.task != REGRESSION:
        classes = per_class(predictions.y_true, predictions.probs, predictions.y_pred, predictions.target.names)
    return Evaluation(table.reset_index(), classes, predictions)


def scores_of(predictions: Predictions) -> WeightedScores:
    """Choose the metrics that fit the task: of classes, of several labels, of numbers.

    Args:
        predictions: with true labels.
    Returns:
        A function of row weights, shape (n,), which gives the scores by name.
    """
    target = predictions.target
    if target.task == REGRESSION:
        return number_scores(*predictions.numbers)
    if target.task == MULTI:
        return label_scores(predictions.y_true, predictions.probs, predictions.y_pred)
    return class_scores(predictions.y_true, predictions.probs, predictions.y_pred, target.task == ORDINAL)


def _baselines(
    predictions: Predictions, train: list[str], codes: np.ndarray, valid: Labelled | None
) -> dict[str, Predictions]:
    """Predictions of the same rows by each baseline; thresholds of several labels are tuned as the model's are."""
    target, thresholds, (valid_texts, valid_codes) = predictions.target, 0.5, valid or ([], None)
    probs = baselines.majority(target, codes, len(predictions))
    out = {baselines.MAJORITY: Predictions(target, probs, target.decide(probs), predictions.y_true)}
    probs = baselines.linear(target, codes, train, [*valid_texts, *predictions.texts])
    if probs is not None:
        if target.task == MULTI and len(valid_texts):
            thresholds = best_thresholds(probs[: len(valid_texts)], valid_codes)
        probs = probs[len(valid_texts) :]
        out[baselines.LINEAR] = Predictions(target, probs, target.decide(probs, thresholds), predictions.y_true)
    return out
