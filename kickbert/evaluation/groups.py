"""Scores of groups of rows: by the values of a column, or by the language of the texts."""

import numpy as np
import pandas as pd

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import main_scores
from kickbert.evaluation.significance import ROUNDS, score_intervals
from kickbert.text.columns import check_column
from kickbert.text.word_statistics import detect_languages

LANGUAGE = "language"
MAX_GROUPS = 200  # more than there are languages


def group_scores(predictions: Predictions, by: str, rounds: int = ROUNDS, seed: int = 0) -> pd.DataFrame:
    """Compute the main scores of each group of rows.

    Args:
        predictions: predictions with true labels.
        by: a column of their DataFrame, or "language".
        rounds: bootstrap samples.
        seed: seed of the bootstrap.
    Returns:
        <by>, rows, score, model, low, high (95% interval, as of `evaluate`): two rows per group, the largest
        group first.
    Raises:
        ValueError: an unknown column, or one with too many values.
    """
    records = []
    groups = pd.Series(np.arange(len(predictions))).groupby(_groups(predictions, by), dropna=False)
    for value, rows in groups:
        scores = main_scores(predictions, rows.to_numpy())
        values = scores(np.ones(len(rows)))
        table = score_intervals(scores, len(rows), rounds, seed)
        for score in predictions.target.shown_scores[:2]:
            records.append((value, len(rows), score, values[score], *table.loc[score]))
    table = pd.DataFrame(records, columns=[by, "rows", "score", "model", "low", "high"])
    return table.sort_values("rows", ascending=False, kind="stable", ignore_index=True)


def _groups(predictions: Predictions, by: str) -> np.ndarray:
    """Return the group of each row."""
    df = predictions.df
    if by == LANGUAGE and predictions.texts and (df is None or by not in df):
        return np.array(detect_languages(predictions.texts), dtype=object)
    if df is None:
        raise ValueError(f"by={by!r} needs a DataFrame with that column: evaluate(model, df, by={by!r})")
    check_column(df, by, "by")
    values = df[by].astype(object)
    if values.nunique() > MAX_GROUPS:
        raise ValueError(
            f"by={by!r} has {values.nunique():,} different values, more than {MAX_GROUPS} groups. Group them first, "
            f"such as df.assign(group=pd.qcut(df[{by!r}], 5).astype(str)) for a number"
        )
    return values.to_numpy()
