"""Evaluation of a model: scores with confidence intervals, compared with baselines.

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

from kickbert.evaluation.baselines import baseline_predictions, columns_alone, tied_classes
from kickbert.evaluation.conclusions import few_rows, no_majority, summarize
from kickbert.evaluation.groups import group_scores
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import all_scores, per_class
from kickbert.evaluation.significance import ROUNDS, compare_scores, score_intervals, undefined_intervals
from kickbert.models.protocol import is_model
from kickbert.targets.directions import with_directions
from kickbert.utils.atomic_files import replacing
from kickbert.utils.messages import plural


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Scores of a model and the predictions behind them.

    Args:
        scores: score, model, low, high (95% confidence interval: Wilson's for accuracy, otherwise by bootstrap; NaN if
            it is not defined), and a column for each baseline.
        classes: precision, recall, F1, rows, ROC-AUC and average precision of each class; None for a number.
        predictions: predictions of the evaluated rows, with true labels.
        groups: main scores of each group of rows (`group_scores`); None without `by`.
        summary: plain sentences: how good the model is, how it compares with the baselines, its weakest class.
        notes: notes for a reader of the scores.
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
        """Look up a score of the model by name.

        Raises:
            KeyError: an unknown score.
        """
        values = self.scores.loc[self.scores["score"] == score, "model"]
        if not len(values):
            raise KeyError(f"{score!r} is not a score. Scores: {list(self.scores['score'])}")
        return float(values.iloc[0])

    def __repr__(self) -> str:
        tables = [table.to_string(index=False) for table in self._rounded()]
        return "\n".join([*self.summary, "", *tables, self._size(), *self.notes])

    def _repr_html_(self) -> str:
        tables = [table.to_html(index=False) for table in self._rounded()]
        lead = [f"<p>{html.escape(line)}</p>" for line in self.summary]
        end = [f"<p>{html.escape(line)}</p>" for line in (self._size(), *self.notes)]
        return "".join([*lead, *tables, *end])

    def _size(self) -> str:
        more = len(self.scores) - len(self.shown())
        return plural(self.rows, "row") + (f"; .scores has {plural(more, 'more score')}" if more else "")

    def shown(self) -> pd.DataFrame:
        """Select the scores that matter most for the task, the main one first."""
        names = [name for name in self.predictions.target.shown_scores if name in set(self.scores["score"])]
        return self.scores.set_index("score").loc[names].reset_index()

    def worst_classes(self) -> pd.DataFrame | None:
        """Scores by class, the lowest F1 first; classes without rows come last. None for a number."""
        if self.classes is None:
            return None
        order = self.classes["F1"].where(self.classes["rows"] > 0)
        return self.classes.loc[order.sort_values(kind="stable", na_position="last").index]

    def _rounded(self) -> list[pd.DataFrame]:
        """The scores shown and those of groups, with three decimals."""
        tables = [self.shown(), *([] if self.groups is None else [self.groups])]
        return [_rounded(table) for table in tables]

    def to_frame(self) -> pd.DataFrame:
        """All scores, one per row: score, model, low, high, a column for each baseline."""
        return self.scores

    def to_json(self, file: str | Path | None = None) -> str:
        """Format scores, classes and groups as JSON; undefined scores are null.

        Args:
            file: a file to write it to as well.
        """
        tables = {"scores": self.scores, "classes": self.classes, "groups": self.groups}
        content = {
            name: json.loads(t.to_json(orient="records", double_precision=15))
            for name, t in tables.items()
            if t is not None
        }
        text = json.dumps({"rows": self.rows, "summary": self.summary, "notes": self.notes, **content}, indent=1)
        if file is not None:
            with replacing(Path(file).expanduser()) as part:
                part.write_text(text, encoding="utf-8")
        return text


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    numbers = table.select_dtypes("floating").columns
    return with_directions(table).assign(**{c: table[c].map("{:,.3f}".format).replace("nan", "") for c in numbers})


def evaluate(
    learn: Any, df: Any = None, *, compare: bool = True, by: str | None = None, rounds: int = ROUNDS, seed: int = 0
) -> Evaluation:
    """Evaluate a model: every usual score of its task with a 95% confidence interval, compared with two baselines.

    Accuracy has a Wilson interval, which has a width even if all rows are correct. Other intervals are by bootstrap; a
    note names those that are not defined because all samples are equal.

    Args:
        learn: a learner or a predictor; or `Predictions`; or the true class of each row, if `df` contains
            probabilities.
        df: rows with labels; None for the validation rows. Without the label column there are only predictions.
        compare: whether to score the majority class and TF-IDF plus a linear model as well, trained on the same rows;
            for a model that reads columns beside the text, also these columns alone.
            If several classes are the largest in training, the majority class is left out, and a note says so.
        by: a column of df; its values define groups of rows to score separately. If df has no column "language",
            `by="language"` detects the language of each text.
        rounds: bootstrap samples of the intervals.
        seed: seed of the bootstrap.
    Returns:
        Scores and predictions, the input of error analysis, plots and thresholds.
    Raises:
        ValueError: neither validation rows nor df, no row that can be evaluated, or shapes that do not fit.
    Warns:
        There are too few rows for a reliable score.
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
    if few := few_rows(len(predictions)):
        warnings.warn(few, stacklevel=2)
    scores = all_scores(predictions)
    values = scores(np.ones(len(predictions)))
    table = pd.DataFrame({"score": list(values), "model": list(values.values())}).set_index("score")
    table = table.join(score_intervals(scores, len(predictions), rounds, seed))
    baselines, differences = {}, {}
    if compare and train is not None:
        baselines = baseline_predictions(predictions, *train, learn.labeled_rows("valid"))
    if compare and is_model(learn):
        baselines |= columns_alone(learn, predictions)
    for name, baseline in baselines.items():
        table[name] = pd.Series(all_scores(baseline)(np.ones(len(baseline))))
        differences[name] = compare_scores(predictions, baseline, rounds, seed).loc["difference"]
    classes = None
    if not predictions.target.is_number:
        classes = per_class(predictions.y_true, predictions.probs, predictions.y_pred, predictions.target.names)
    groups = None if by is None else group_scores(predictions, by, rounds, seed)
    training = None if train is None else train[1]
    longer = getattr(learn, "longer", None)
    summary = summarize(predictions, table, pd.DataFrame(differences).T, classes, training, longer)
    table = table.reset_index()
    notes = (*predictions.notes, *_notes(predictions, table, groups, training if compare else None))
    return Evaluation(table, classes, predictions, groups, tuple(summary), notes)


def _notes(
    predictions: Predictions, table: pd.DataFrame, groups: pd.DataFrame | None, training: np.ndarray | None
) -> list[str]:
    """Say what a reader of the scores must know: few rows, no majority class, scores without an interval."""
    notes = list(filter(None, [few_rows(len(predictions))]))
    if training is not None:
        notes += no_majority(tied_classes(predictions.target, training))
    notes += undefined_intervals(table)
    return notes if groups is None else notes + undefined_intervals(groups, " in some groups")
