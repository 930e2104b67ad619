"""Whether larger or smaller values of a score are better."""

import pandas as pd

LOWER_IS_BETTER = frozenset(
    {
        "log loss",
        "Brier score",
        "expected calibration error",
        "Hamming loss",
        "mean absolute error",
        "mean absolute error, buckets",
        "root mean squared error",
        "loss per row",
    }
)


def with_direction(score: str) -> str:
    """Add to a score's name that lower is better, if it is.

    >>> with_direction("accuracy"), with_direction("log loss")
    ('accuracy', 'log loss (lower is better)')
    """
    return f"{score} (lower is better)" if score in LOWER_IS_BETTER else score


def with_directions(table: pd.DataFrame) -> pd.DataFrame:
    """Add the direction to the scores of a table that is shown: in the column "score", and in column names."""
    shown = table.rename(columns=with_direction)
    return shown.assign(score=shown["score"].map(with_direction)) if "score" in shown else shown
