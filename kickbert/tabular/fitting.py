"""Fit the columns beside the text to training rows (scikit-learn): trees, and out-of-fold offsets of these rows."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import TargetEncoder

from kickbert.tabular.boosting import Booster
from kickbert.tabular.column_model import ColumnModel
from kickbert.tabular.columns import Column
from kickbert.tabular.trees import Trees
from kickbert.targets.base import Target

# Compared on Kickstarter (benchmarks/notes/columns.md).
SETTINGS: dict[str, Any] = {"learning_rate": 0.05, "max_leaf_nodes": 8, "l2_regularization": 1.0}
TREES = 600  # with many classes, each gets fewer iterations
ITERATIONS = (20, 150)
FOLDS = 5  # of the target encoder, and of the rows
SCALES = (0.0, 2.0)


def fit_columns(
    df: pd.DataFrame, columns: Sequence[Column], target: Target, codes: np.ndarray, seed: int = 0
) -> tuple[ColumnModel, np.ndarray]:
    """Fit the trees to training rows.

    Args:
        df: the rows.
        columns: the columns, fitted to them.
        target: the target.
        codes: their codes, shape (n,) or (n, labels).
        seed: seed of the folds.
    Returns:
        The model, and the out-of-fold offsets of these rows, float32, shape (n, outputs).
    """
    empty = ColumnModel(tuple(columns), multilabel=target.is_multilabel)
    categories, numbers = empty.read(df)
    labels = list(codes.astype(np.int64).T) if target.is_multilabel else [codes.reshape(-1)]
    size = 2 if target.is_multilabel else len(target.names)
    boosters = [fit_booster(categories, numbers, label, size, seed) for label in labels]
    held = [_out_of_fold(categories, numbers, label, size, seed) for label in labels]
    scores = empty.joined(held)
    scale = _best_scale(scores, codes, target)
    return replace(empty, boosters=tuple(boosters), scale=scale), (scale * scores).astype(np.float32)


def fit_booster(categories: np.ndarray, numbers: np.ndarray, targets: np.ndarray, size: int, seed: int = 0) -> Booster:
    """Fit trees to rows.

    Args:
        categories: category numbers, 0 for a missing one, int64, shape (n, columns).
        numbers: float64, shape (n, columns); NaN for a missing one.
        targets: class numbers, int64, shape (n,); or numbers, float, if `size` is 1.
        size: number of classes; 1 for a number.
        seed: seed of the folds of the target encoder.
    """
    outputs = np.arange(1) if size == 1 else np.unique(targets)
    if len(outputs) == 1 and size > 1:
        return Booster((), _constant(), outputs, size)
    encoded, tables = [], []
    for column in categories.T:
        values, table = _encode(column, targets, size == 1, seed)
        encoded.append(values)
        tables.append(table)
    iterations = int(np.clip(TREES // len(outputs), *ITERATIONS))
    kind = HistGradientBoostingRegressor if size == 1 else HistGradientBoostingClassifier
    model = kind(max_iter=iterations, early_stopping=False, random_state=seed, **SETTINGS)
    model.fit(np.concatenate([*encoded, numbers], axis=1), targets)
    return Booster(tuple(tables), Trees.of(model), outputs, size)


def _constant() -> Trees:
    """No trees, for rows of a single class."""
    nodes = np.zeros((0, 1))
    ints = nodes.astype(np.int32)
    return Trees(ints, nodes, nodes.astype(bool), ints, ints, nodes, np.zeros(1), np.zeros(1, np.int64))


def _encode(column: np.ndarray, targets: np.ndarray, number: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Replace categories by the mean target of other rows of the category (Micci-Barreca 2001), across folds.

    Returns:
        The values of these rows, shape (n, k), and the table for other rows, by category number.
    """
    folds = FOLDS if number else min(FOLDS, int(np.unique(targets, return_counts=True)[1].max()))
    kind = "continuous" if number else "binary" if len(np.unique(targets)) == 2 else "multiclass"
    every = np.arange(column.max() + 1)[:, None]
    encoder = TargetEncoder(categories=[every[:, 0]], target_type=kind, cv=max(2, folds), random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about classes with fewer rows than folds
        values = encoder.fit_transform(column[:, None], targets)
    return values, encoder.transform(every)


def _out_of_fold(categories: np.ndarray, numbers: np.ndarray, targets: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Score each row by trees that were fitted to the other folds, float64, shape (n, size)."""
    counts = np.unique(targets, return_counts=True)[1] if size > 1 else np.zeros(1)
    folds = min(FOLDS, len(targets))
    kind = StratifiedKFold if size > 1 and counts.max() >= folds else KFold
    out = np.zeros((len(targets), size))
    if folds < 2:
        return out
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about classes with fewer rows than folds
        parts = list(kind(folds, shuffle=True, random_state=seed).split(categories, targets))
    for train, held in parts:
        booster = fit_booster(categories[train], numbers[train], targets[train], size, seed)
        known = np.where(categories[held] <= categories[train].max(0, initial=0), categories[held], 0)
        out[held] = booster.scores(known, numbers[held])
    return out


def _best_scale(scores: np.ndarray, codes: np.ndarray, target: Target) -> float:
    """Find the factor of out-of-fold scores with the lowest loss; 0 if they say nothing."""

    def loss(scale: float) -> float:
        scaled = scale * scores
        if target.is_number:
            return float(np.square(scaled.reshape(-1) - codes.reshape(-1)).mean())
        if target.is_multilabel:
            return float(-(codes * log_expit(scaled) + (1 - codes) * log_expit(-scaled)).mean())
        return float(-log_softmax(scaled, axis=1)[np.arange(len(codes)), codes].mean())

    best = float(minimize_scalar(loss, bounds=SCALES, method="bounded").x)
    return best if loss(best) < loss(0) else 0.0
