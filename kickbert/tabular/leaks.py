"""Columns that give the target away: known only afterwards, or a function of it."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from kickbert.tabular.columns import Column

LEAK = 0.9  # share of the skill that a column can have with its number of values, from which on it is a leak
ROWS = 5_000  # maximum rows to judge by
FOLDS = 3
LEAVES = 256


def skill(values: np.ndarray, strata: np.ndarray) -> float:
    """Measure how well a column alone predicts a target, as a share of what a column with as many values can.

    The skill is the share of the errors of the largest class that a decision tree avoids, in folds. A column with two
    values can tell at most two classes apart, so for four classes of equal size its skill is at most a third.

    Args:
        values: the column as numbers, shape (n, parts).
        strata: stratum of each row, shape (n,); or zeros and ones, shape (n, labels): the best-predicted label counts.
    Returns:
        0 or less if it is no better than the largest class, 1 if it is as good as it can be.

    >>> skill(np.arange(90.0)[:, None], np.repeat([0, 1, 2], 30)) > 0.9
    True
    """
    if strata.ndim == 2:
        return max((skill(values, label) for label in strata.T if label.min() < label.max()), default=0.0)
    chosen = np.random.default_rng(0).permutation(len(strata))[:ROWS]
    codes = np.unique(strata[chosen], return_inverse=True)[1]
    largest = np.bincount(codes).max()
    if largest == len(codes) or len(codes) < 2 * FOLDS or largest < FOLDS:
        return 0.0
    tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, min_samples_leaf=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about classes with fewer rows than folds
        right = (cross_val_predict(tree, values[chosen], codes, cv=FOLDS) == codes).mean()
    shares = np.sort(np.bincount(codes) / len(codes))[::-1]
    distinct = len(np.unique(values[chosen], axis=0))
    best = shares[:distinct].sum()  # each value stands for one class
    return float((right - shares[0]) / (best - shares[0])) if distinct > 1 else 0.0


def leaks(df: pd.DataFrame, columns: Sequence[Column], strata: np.ndarray) -> list[Column]:
    """Find the columns that give the target away.

    Args:
        df: the rows, with names of columns that are strings.
        columns: the columns.
        strata: as for `skill`.
    Warns:
        Cells that cannot be read: counted, and the first of them shown.
    """
    return [column for column in columns if skill(column.read(df[column.name]), strata) >= LEAK]
