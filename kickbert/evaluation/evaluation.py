"""Evaluation of a model: scores with confidence intervals, beside baselines.

learner, df → `Predictions` → `evaluate` → `Evaluation`: a table, JSON, a table of classes
"""

import html
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kickbert.evaluation.baselines import baseline_predictions
from kickbert.evaluation.conclusions import conclusions, few_rows
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import (
    MAIN_SCORES,
    SECOND_SCORES,
    SHOWN_SCORES,
    WeightedScores,
    class_scores,
    count_scores,
    label_scores,
    number_scores,
    per_class,
)
from kickbert.evaluation.significance import intervals
from kickbert.models.protocol import is_model
from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION
from kickbert.text.columns import check_column
from kickbert.text.word_statistics import detect_languages
from kickbert.utils.atomic_files import replacing

ROUNDS = 500  # bootstrap samples of the intervals
LANGUAGE = "language"
GROUPS = 200  # of rows that are scored apart; there are fewer languages than that


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Scores of a model, and the predictions that they are of.

    Args:
        scores: score, model, low and high (95 % confidence interval by bootstrap), and a column for each baseline.
        classes: precision, recall, F1, rows, ROC-AUC and average precision of each class; None for numbers.
        predictions: of the rows evaluated, with their true labels.
        groups: the main scores of each group of rows, as `group_scores` gives them; None where none were asked for.
        summary: plain sentences: how good it is, better or worse than the baselines beyond chance, the weakest class.
        notes: what a reader of the scores must know.
    """

    scores: pd.DataFrame
    classes: pd.DataFrame | None
    predictions: Predictions
    groups: pd.DataFrame | None = None
    summary: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

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
        tables = [table.to_string(index=False) for table in self._rounded()]
        return "\n".join([*self.summary, "", *tables, self._size(), *self.notes])

    def _repr_html_(self) -> str:
        tables = [table.to_html(index=False) for table in self._rounded()]
        lead, end = (
            [f"<p>{html.escape(line)}</p>" for line in lines] for lines in (self.summary, (self._size(), *self.notes))
        )
        return "".join([*lead, *tables, *end])

    def _size(self) -> str:
        more = len(self.scores) - len(self.shown())
        return f"{self.rows:,} rows" + (f"; .scores has {more} more scores" if more else "")

    def shown(self) -> pd.DataFrame:
        """The scores that a task is judged by, of all in `scores`, the main one first."""
        names = [name for name in SHOWN_SCORES[self.predictions.target.task] if name in set(self.scores["score"])]
        return self.scores.set_index("score").loc[names].reset_index()

    def _rounded(self) -> list[pd.DataFrame]:
        """The scores shown, and those of groups, with numbers of three digits."""
        tables = [self.shown(), *([] if self.groups is None else [self.groups])]
        return [_rounded(table) for table in tables]

    def to_frame(self) -> pd.DataFrame:
        """The scores, a row each: score, model, low, high, a column for each baseline."""
        return self.scores

    def to_json(self, file: str | Path | None = None) -> str:
        """Scores, classes and groups as JSON, null for what is undefined.

        Args:
            file: to write it to as well; None for none.
        """
        tables = {"scores": self.scores, "classes": self.classes, "groups": self.groups}
        content = {
            name: json.loads(t.to_json(orient="records", double_precision=15))
            for name, t in tables.items()
            if t is not None
        }
        text = json.dumps({"rows": self.rows, "summary": self.summary, "notes": self.notes, **content}, indent=1)
        if file is not None:
            with replacing(Path(file)) as part:
                part.write_text(text, encoding="utf-8")
        return text


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    numbers = table.select_dtypes("floating").columns
    return table.assign(**{c: table[c].map("{:,.3f}".format).replace("nan", "") for c in numbers})


def evaluate(
    learn: Any, df: Any = None, *, compare: bool = True, by: str | None = None, rounds: int = ROUNDS, seed: int = 0
) -> Evaluation:
    """Evaluate a model: every usual score of its task with a 95 % confidence interval, beside two baselines.

    Args:
        learn: a learner or a predictor; or `Predictions`; or the true class of each row, if `df` holds probabilities.
        df: rows with their labels; None for the validation rows. Without the label column there are predictions alone.
        compare: whether to score the majority class and TF-IDF with a linear model too, trained on the same rows.
        by: a column of df by whose values rows are scored apart as well, in `groups`; "language" is detected in the
            texts where df has no such column.
        rounds: bootstrap samples of the intervals.
        seed: of these.
    Returns:
        Scores, and the predictions, from which error analysis, plots and thresholds start.
    Raises:
        ValueError: no validation rows and no df, no row that can be evaluated, or shapes that do not go together.
    Warns:
        There are so few rows that the scores tell little.
    """
    if isinstance(learn, Predictions):
        predictions, train = learn, None
    elif is_model(learn):
        predictions, train = Predictions.from_model(learn, df), learn.labeled_rows("train")
    else:
        predictions, train = Predictions.from_probabilities(learn, df), None
    if predictions.y_true is None:
        empty = pd.DataFrame(columns=["score", "model", "low", "high"])
        return Evaluation(empty, None, predictions, notes=predictions.notes)
    notes = predictions.notes
    if few := few_rows(len(predictions)):
        warnings.warn(few, stacklevel=2)
        notes = (*notes, few)
    scores = scores_of(predictions)
    values = scores(np.ones(len(predictions)))
    table = pd.DataFrame({"score": list(values), "model": list(values.values())}).set_index("score")
    table = table.join(intervals(scores, len(predictions), rounds, seed))
    differences = {}
    if compare and train is not None:
        for name, baseline in baseline_predictions(predictions, *train, learn.labeled_rows("valid")).items():
            table[name] = pd.Series(scores_of(baseline)(np.ones(len(baseline))))
            differences[name] = compare_scores(predictions, baseline, rounds, seed).loc["difference"]
    classes = None
    if predictions.target.task != REGRESSION:
        classes = per_class(predictions.y_true, predictions.probs, predictions.y_pred, predictions.target.names)
    groups = None if by is None else group_scores(predictions, by, rounds, seed)
    training = None if train is None else train[1]
    summary = conclusions(predictions, table, pd.DataFrame(differences).T, classes, training)
    return Evaluation(table.reset_index(), classes, predictions, groups, tuple(summary), notes)


def compare_scores(first: Predictions, second: Predictions, rounds: int = ROUNDS, seed: int = 0) -> pd.DataFrame:
    """The main score of two predictions of the same rows, and the paired bootstrap interval of their difference.

    Args:
        first, second: of the same rows, with true labels.
        rounds, seed: of the bootstrap.
    Returns:
        score, low, high (95 %), indexed by "first", "second" and "difference".
    """
    score = MAIN_SCORES[first.target.task]
    of_first, of_second = main_scores(first), main_scores(second)

    def both(weight: np.ndarray) -> dict[str, float]:
        pair = of_first(weight)[score], of_second(weight)[score]
        return {"first": pair[0], "second": pair[1], "difference": pair[0] - pair[1]}

    rows = len(first)
    return pd.concat([pd.Series(both(np.ones(rows)), name="score"), intervals(both, rows, rounds, seed)], axis=1)


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


def main_scores(predictions: Predictions, places: Any = slice(None)) -> WeightedScores:
    """The scores that a task is judged by first, `MAIN_SCORES` among them: cheap enough for many bootstraps.

    Args:
        predictions: with true labels.
        places: positions of the rows that count.
    Returns:
        As `scores_of`.
    """
    task = predictions.target.task
    if task == REGRESSION:
        return number_scores(*(numbers[places] for numbers in predictions.numbers))
    pair = (codes[places].astype(int) for codes in (predictions.y_true, predictions.y_pred))
    return count_scores(task, *pair, len(predictions.target.names))


def group_scores(predictions: Predictions, by: str, rounds: int = ROUNDS, seed: int = 0) -> pd.DataFrame:
    """The main scores of each group of rows.

    Args:
        predictions: of rows whose labels are known.
        by: a column of their DataFrame, or "language".
        rounds, seed: of the bootstrap.
    Returns:
        <by>, rows, score, model, low, high (95 %): two rows a group, the largest group first.
    Raises:
        ValueError: no such column, or one of so many values that they are no groups.
    """
    task, out = predictions.target.task, []
    for value, places in pd.Series(np.arange(len(predictions))).groupby(_groups(predictions, by), dropna=False):
        scores = main_scores(predictions, places)
        table = intervals(scores, len(places), rounds, seed)
        for score in (MAIN_SCORES[task], SECOND_SCORES[task]):
            out.append((value, len(places), score, scores(np.ones(len(places)))[score], *table.loc[score]))
    table = pd.DataFrame(out, columns=[by, "rows", "score", "model", "low", "high"])
    return table.sort_values("rows", ascending=False, kind="stable", ignore_index=True)


def _groups(predictions: Predictions, by: str) -> np.ndarray:
    """The group of each row."""
    df = predictions.df
    if by == LANGUAGE and predictions.texts and (df is None or by not in df):
        return np.array(detect_languages(predictions.texts), dtype=object)
    if df is None:
        raise ValueError(f"by={by!r} needs the rows as a DataFrame with that column: evaluate(model, df, by={by!r})")
    check_column(df, by, "by")
    values = df[by].astype(object)
    if values.nunique() > GROUPS:
        raise ValueError(
            f"by={by!r} has {values.nunique():,} different values, more than {GROUPS} groups; give a column of few, "
            f"such as df.assign(group=pd.qcut(df[{by!r}], 5).astype(str)) of a number"
        )
    return values.to_numpy()
