"""Which rows train, validate and are judged in each fold of a cross-validation."""

from collections.abc import Iterator

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, StratifiedGroupKFold, StratifiedKFold

from kickbert.data.splits import TEST, TRAIN, VALID, stratified


def fold_parts(
    strata: np.ndarray, groups: np.ndarray | None, folds: int, repeats: int, valid: float, seed: int
) -> list[np.ndarray]:
    """The part of each row, for each fold of each repeat: train, valid or test.

    Args:
        strata: what each fold has its share of, shape (n,), or zeros and ones, shape (n, labels).
        groups: rows of one group are in one part, shape (n,); None for each row alone.
        folds: at least 2.
        repeats: how often the rows are dealt anew, at least 1.
        valid: share of the rows outside a fold that validate.
        seed: of all.
    Returns:
        `repeats * folds` arrays of str, shape (n,); in each repeat every row is in test once.
    Raises:
        ValueError: numbers out of range, or fewer rows or groups than folds.
    """
    units = len(strata) if groups is None else len(np.unique(groups))
    if not 2 <= folds <= units or repeats < 1 or not 0 < valid < 1:
        raise ValueError(
            f"folds={folds} must be from 2 to {units} (rows or groups), repeats={repeats} at least 1, and "
            f"valid={valid} between 0 and 1"
        )
    return [
        _part(strata, groups, test, valid, seed + repeat)
        for repeat in range(repeats)
        for test in _dealt(strata, groups, folds, seed + repeat)
    ]


def _dealt(strata: np.ndarray, groups: np.ndarray | None, folds: int, seed: int) -> Iterator[np.ndarray]:
    """The rows of each fold."""
    how = {"n_splits": folds, "shuffle": True, "random_state": seed}
    several = strata.ndim == 2
    if groups is not None:
        splitter = GroupKFold(**how) if several else StratifiedGroupKFold(**how)
    else:
        splitter = MultilabelStratifiedKFold(**how) if several else StratifiedKFold(**how)
    for _, test in splitter.split(np.zeros(len(strata)), strata, groups):
        yield test


def _part(strata: np.ndarray, groups: np.ndarray | None, test: np.ndarray, valid: float, seed: int) -> np.ndarray:
    part = np.full(len(strata), TRAIN, dtype=object)
    part[test] = TEST
    rest = np.flatnonzero(part == TRAIN)
    if groups is None:
        held = rest[stratified(strata[rest], valid, seed)]
    else:
        splitter = GroupShuffleSplit(1, test_size=valid, random_state=seed)
        held = rest[next(splitter.split(rest, groups=groups[rest]))[1]]
    part[held] = VALID
    return part
