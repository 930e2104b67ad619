"""How good a model is: scores with intervals, beside what has to be beaten.

learner, df → `Predictions` → `evaluate` → `Evaluation`: a table, JSON, a table of classes
"""

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

ROUNDS = 500


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The scores of a model.

    Args:
        scores: score, model, low, high (95 % by bootstrap), and a column for each baseline.
        classes: precision, recall, F1, rows, ROC-AUC and average precision of each class; None for numbers.
        predictions: what the scores are of.
    """

    scores: pd.DataFrame
    classes: pd.DataFrame | None
    predictions: Predictions

    @property
    def rows(self) -> int:
        """How many rows were judged."""
        return len(self.predictions)

    def __getitem__(self, score: str) -> float:
        """The model's score of that name."""
        found = self.scores.loc[self.scores["score"] == score, "model"]
        if not len(found):
            raise KeyError(f"{score!r} is not among the scores; there are {list(self.scores['score'])}")
        return float(found.iloc[0])

    def __repr__(self) -> str:
        told = [f"{self.rows:,} rows", *self.predictions.notes]
        return "\n".join([self._shown().to_string(index=False), *map(str, told)])

    def _repr_html_(self) -> str:
        return self._shown().to_html(index=False) + "".join(f"<p>{note}</p>" for note in self.predictions.notes)

    def _shown(self) -> pd.DataFrame:
        numbers = self.scores.select_dtypes("number").columns
        return self.scores.assign(**{c: self.scores[c].map("{:,.3f}".format).replace("nan", "") for c in numbers})

    def to_frame(self) -> pd.DataFrame:
        """A row per score."""
        return self.scores

    def to_json(self, file: str | Path | None = None) -> str:
        """Scores and classes as JSON, null for what is undefined; written to `file` as well if one is given."""
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
    """How good a model is.

    Args:
        learn: a learner or a predictor; or what is true of each row, if `df` holds probabilities; or `Predictions`.
        df: rows with their labels; None for the validation rows. Without the label column there are predictions alone.
        compare: whether to hold the majority class and TF-IDF with a linear model, trained on the same rows, beside it.
        rounds: bootstrap samples of the intervals.
        seed: of these.
    Returns:
        A table of scores; its `predictions` are what other judgements start from.
    """
    if isinstance(learn, Predictions):
        found, train = learn, None
    elif is_model(learn):
        found, train = Predictions.from_model(learn, df), learn.labelled_rows("train")
    else:
        found, train = Predictions.from_probabilities(learn, df), None
    if found.y_true is None:
        return Evaluation(pd.DataFrame(columns=["score", "model", "low", "high"]), None, found)
    scores = scores_of(found)
    values = scores(np.ones(len(found)))
    table = pd.DataFrame({"score": list(values), "model": list(values.values())}).set_index("score")
    table = table.join(intervals(scores, len(found), rounds, seed))
    if compare and train is not None:
        for name, other in _baselines(found, *train, learn.labelled_rows("valid")).items():
            table[name] = pd.Series(scores_of(other)(np.ones(len(other))))
    classes = None
    if found.target.task != REGRESSION:
        classes = per_class(found.y_true, found.probs, found.y_pred, found.target.names)
    return Evaluation(table.reset_index(), classes, found)


def scores_of(found: Predictions) -> WeightedScores:
    """The scores that fit what is predicted."""
    target = found.target
    if target.task == REGRESSION:
        return number_scores(*found.numbers)
    if target.task == MULTI:
        return label_scores(found.y_true, found.probs, found.y_pred)
    return class_scores(found.y_true, found.probs, found.y_pred, target.task == ORDINAL)


def _baselines(
    found: Predictions, texts: list[str], codes: np.ndarray, valid: Labelled | None
) -> dict[str, Predictions]:
    """The same rows judged by simpler means; thresholds of several labels are tuned as the model's are."""
    target, thresh, (held, y_true) = found.target, 0.5, valid or ([], None)
    said = {baselines.MAJORITY: baselines.majority(target, codes, len(found))}
    out = {name: Predictions(target, p, target.decide(p), found.y_true) for name, p in said.items()}
    probs = baselines.linear(target, codes, texts, [*held, *found.texts])
    if probs is not None:
        if target.task == MULTI and len(held):
            thresh = best_thresholds(probs[: len(held)], y_true)
        probs = probs[len(held) :]
        out[baselines.LINEAR] = Predictions(target, probs, target.decide(probs, thresh), found.y_true)
    return out
