"""Split rows into train, validation and test sets: stratified and seeded, or as the caller specifies."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, StratifiedGroupKFold, StratifiedKFold

from kickbert.data.tables.annotations import check_no_export
from kickbert.targets.label_cells import labeled_rows
from kickbert.targets.stratification import default_strata
from kickbert.text.columns import as_list, check_column, check_frame, pick
from kickbert.utils.messages import plural, row_names

TRAIN, VALID, TEST = "train", "valid", "test"
SPELLINGS = {
    "train": TRAIN,
    "training": TRAIN,
    "valid": VALID,
    "validation": VALID,
    "val": VALID,
    "dev": VALID,
    "test": TEST,
}


def stratified_sample(strata: np.ndarray, fraction: float, seed: int | None) -> np.ndarray:
    """Draw the same fraction of rows from each stratum.

    A stratum with a single row cannot be split. Its row is not chosen, and a warning counts such strata.

    Args:
        strata: stratum of each row, shape (n,); or zeros and ones, shape (n, labels), to stratify by every label
            (Sechidis, Tsoumakas and Vlahavas 2011, with iterative-stratification).
        fraction: between 0 and 1.
    Returns:
        True for the chosen rows, bool, shape (n,). `round(n * fraction)` rows are chosen, fewer if strata have a single
        row.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"cannot hold out a fraction of {fraction}; pass a number between 0 and 1, such as 0.15")
    if strata.ndim == 2:
        return _iterative(strata, fraction, seed)
    rng = np.random.default_rng(seed)
    names, inverse, counts = np.unique(strata, return_inverse=True, return_counts=True)
    if (counts == 1).any():
        single = [str(n) for n in names[counts == 1]]
        classes = plural(len(single), "class with a single row stays", "classes with a single row stay")
        warnings.warn(f"{classes} in the training set: {single[:5]}", stacklevel=3)
    chosen = np.zeros(len(strata), dtype=bool)
    # Each row's rank within its stratum, scaled to [0, 1]. Taking the smallest takes the same fraction of each stratum.
    order = rng.permutation(len(strata))
    rank = pd.Series(inverse[order]).groupby(inverse[order]).cumcount().to_numpy()
    place = (rank + rng.uniform(0, 1, len(names))[inverse[order]]) / counts[inverse[order]]
    place[counts[inverse[order]] == 1] = np.inf
    take = np.argsort(place, kind="stable")[: max(1, round(len(strata) * fraction))]
    chosen[order[take]] = np.isfinite(place[take])
    return chosen


def _iterative(strata: np.ndarray, fraction: float, seed: int | None) -> np.ndarray:
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    none = strata.sum(1, keepdims=True) == 0  # rows without labels are stratified like one more label
    splitter = MultilabelStratifiedShuffleSplit(1, test_size=fraction, random_state=seed)
    _, held = next(splitter.split(strata, np.concatenate([strata, none], axis=1)))
    chosen = np.zeros(len(strata), dtype=bool)
    chosen[held] = True
    return chosen


def split(
    df: pd.DataFrame,
    valid: float = 0.15,
    test: float = 0.15,
    seed: int | None = 42,
    label_col: str | Sequence[str] | None = None,
    label_delim: str | None = None,
) -> pd.DataFrame:
    """Add a column `split` with the values train, valid and test: 70/15/15 by default.

    Rows that have such a column keep their parts, so that nothing that others held out is trained on.

    Args:
        df: the rows; not changed.
        valid: fraction of validation rows, 0 for none.
        test: fraction of test rows, 0 for none.
        label_col: column to stratify by; "label" by default if it exists. Numbers (also as text) that are mostly unique
            are stratified by quantiles. Multi-label targets are a column of lists, or columns of zeros and ones.
        label_delim: delimiter between the labels of a cell.
    Returns:
        A copy of df with the column `split`.
    Raises:
        ValueError: fractions without training rows, or a column `split` that holds something else.
    Warns:
        df has a column `split`, which is used. Rows without a label: they are counted, and split separately in the
        same proportions.

    >>> split(pd.DataFrame({"text": list("abcdefghij")}), valid=0.2, test=0.2)["split"].value_counts().to_dict()
    {'train': 6, 'valid': 2, 'test': 2}
    """
    if label_col is None and isinstance(df, pd.DataFrame) and "label" in df.columns:
        label_col = "label"
    check_no_export(df)
    check_frame(df, label_col=as_list(label_col) if label_col else [])
    if valid < 0 or test < 0 or valid + test >= 1:
        raise ValueError(f"valid={valid} and test={test} leave no training rows; their sum must be below 1")
    if "split" in df.columns:
        parts = read_parts(df, "split")
        counts = ", ".join(f"{(parts == part).sum():,} {part}" for part in (TRAIN, VALID, TEST))
        warnings.warn(
            f"df has a column 'split', which is used ({counts}). To split again, drop it: df.drop(columns='split')",
            stacklevel=2,
        )
        return df.assign(split=parts)
    parts = np.full(len(df), TRAIN, dtype=object)
    for rows, strata in _strata(df, label_col, label_delim):
        parts[rows] = _parts(strata, valid, test, seed)
    return df.assign(split=parts)


def _strata(
    df: pd.DataFrame, label_col: str | Sequence[str] | None, delim: str | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a mask (bool, shape (n,)) and the strata of its rows: first the rows with a label, then the others."""
    labeled = np.ones(len(df), dtype=bool)
    strata = np.zeros(len(df), dtype=int)
    if label_col is not None:
        values = pick(df, label_col)
        labeled = labeled_rows(values)
        strata = default_strata(values[labeled], delim)
    if labeled.any():
        yield labeled, strata
    if not labeled.all():
        count = (~labeled).sum()
        warnings.warn(f"{plural(count, 'row')} without {label_col!r}: split separately", stacklevel=4)
        yield ~labeled, np.zeros(count, dtype=int)


def _parts(strata: np.ndarray, valid: float, test: float, seed: int | None) -> np.ndarray:
    """Assign each row to train, valid or test, shape (n,)."""
    parts = np.full(len(strata), TRAIN, dtype=object)
    if test:
        parts[stratified_sample(strata, test, seed)] = TEST
    if valid:
        rest = np.flatnonzero(parts == TRAIN)
        parts[rest[stratified_sample(strata[rest], valid / (1 - test), seed)]] = VALID
    return parts


def valid_rows(
    df: pd.DataFrame, valid: float | str | Sequence | None, strata: np.ndarray, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Select the training rows and the validation rows.

    Args:
        valid: a fraction (stratified); 0 or None for no validation rows; a column as for `read_parts`; the index
            labels of the validation rows; or a mask of them.
        strata: stratum of each row, shape (n,).
    Returns:
        Two masks, bool, shape (n,). Test rows are in neither.
    Raises:
        ValueError: no training rows would be left.
    Warns:
        `valid` selects no validation rows.
    """
    if valid is None or (isinstance(valid, (int, float)) and valid == 0):
        return np.ones(len(df), dtype=bool), np.zeros(len(df), dtype=bool)
    if isinstance(valid, (int, float)):
        held = stratified_sample(strata, float(valid), seed)
        train = ~held
    elif isinstance(valid, str):
        parts = read_parts(df, valid)
        train, held = parts == TRAIN, parts == VALID
    elif len(valid) == len(df) and (mask := np.asarray(valid)).dtype.kind in "bi" and set(mask.tolist()) <= {0, 1}:
        if mask.dtype.kind != "b":
            raise ValueError(
                "valid has a 0 or 1 per row, so it looks like a mask; give booleans, valid=mask.astype(bool), or "
                "labels of the index: valid=df.index[mask == 1]"
            )
        held = mask
        train = ~held
    else:
        unknown = [v for v in valid if v not in df.index]
        if unknown:
            raise ValueError(
                f"valid has {plural(len(unknown), 'label')} that df.index does not have, such as {unknown[0]!r}"
            )
        held = df.index.isin(list(valid))
        train = ~held
    if not train.any():
        raise ValueError(
            f"valid={valid!r} leaves no training rows: {held.sum():,} of {len(df):,} are validation rows; choose fewer"
        )
    if not held.any():
        warnings.warn(f"valid={valid!r} selects no validation rows: training runs without validation", stacklevel=5)
    return train, held


def read_parts(df: pd.DataFrame, column: str) -> np.ndarray:
    """Read the part of each row from a column.

    Args:
        column: a column of train, valid (or validation, val, dev) and test; or of booleans, True for validation rows.
    Returns:
        train, valid or test, shape (n,).
    Raises:
        ValueError: there is no such column, or it holds something else.
    """
    check_column(df, column, "valid")
    if pd.api.types.is_bool_dtype(df[column]) and df[column].notna().all():
        return np.where(df[column].to_numpy(dtype=bool), VALID, TRAIN).astype(object)
    names = df[column].astype(str).str.strip().str.lower()
    unknown = sorted(set(df.loc[~names.isin(SPELLINGS), column].astype(str)))
    if unknown:
        raise ValueError(
            f"column {column!r} contains {unknown[:5]}; allowed are {', '.join(SPELLINGS)}, or booleans. If it means "
            "something else, rename it"
        )
    return names.map(SPELLINGS).to_numpy(dtype=object)


def group_numbers(values: pd.Series) -> np.ndarray:
    """Number the groups of rows; a row without a group is a group of its own.

    Args:
        values: the group of each row, shape (n,).
    Returns:
        int64, shape (n,).
    Warns:
        Rows without a group: counted, and the first of them named.

    >>> group_numbers(pd.Series(["b", "a", "b"])).tolist()
    [1, 0, 1]
    """
    known = labeled_rows(values)
    numbers, groups = pd.factorize(values.where(known), sort=True)
    if not known.all():
        warnings.warn(
            f"{plural(int((~known).sum()), 'row')} without a group in {values.name!r}: each is a group of its own: "
            f"{row_names(~known, values.index)}",
            stacklevel=4,
        )
        numbers[~known] = np.arange(len(groups), len(groups) + (~known).sum())
    return numbers


def fold_assignments(
    strata: np.ndarray, groups: np.ndarray | None, folds: int, repeats: int, valid: float, seed: int
) -> list[np.ndarray]:
    """Assign each row to train, valid or test, for each fold of each repeat.

    Args:
        strata: stratum of each row, shape (n,), or zeros and ones, shape (n, labels).
        groups: group of each row, shape (n,); rows of a group stay together. None for no groups.
        folds: number of folds, at least 2.
        repeats: number of repeats, at least 1.
        valid: fraction of the rows outside the test fold to validate on.
        seed: random seed.
    Returns:
        `repeats * folds` arrays of str, shape (n,); in each repeat every row is a test row once.
    Raises:
        ValueError: a number is out of range, or there are fewer rows or groups than folds.
    """
    units = len(strata) if groups is None else len(np.unique(groups))
    if not isinstance(valid, float) or not 0 < valid < 1:
        raise ValueError(
            f"valid={valid!r} must be a share of the rows outside the held-out fold, between 0 and 1, such as 0.1"
        )
    if not 2 <= folds <= units or repeats < 1:
        raise ValueError(f"folds={folds} must be from 2 to {units} (rows or groups), and repeats={repeats} at least 1")
    return [
        _fold_part(strata, groups, test, valid, seed + repeat)
        for repeat in range(repeats)
        for test in held_out_folds(strata, groups, folds, seed + repeat)
    ]


def held_out_folds(strata: np.ndarray, groups: np.ndarray | None, folds: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the positions of the test rows of each fold, int64."""
    options = {"n_splits": folds, "shuffle": True, "random_state": seed}
    several = strata.ndim == 2
    if groups is not None:
        splitter = GroupKFold(**options) if several else StratifiedGroupKFold(**options)
    else:
        splitter = MultilabelStratifiedKFold(**options) if several else StratifiedKFold(**options)
    tests = [test for _, test in splitter.split(np.zeros(len(strata)), strata, groups)]
    if not all(map(len, tests)):  # scikit-learn's greedy assignment may leave a fold without groups
        tests = [test for _, test in GroupKFold(**options).split(np.zeros(len(strata)), strata, groups)]
    yield from tests


def _fold_part(strata: np.ndarray, groups: np.ndarray | None, test: np.ndarray, valid: float, seed: int) -> np.ndarray:
    part = np.full(len(strata), TRAIN, dtype=object)
    part[test] = TEST
    rest = np.flatnonzero(part == TRAIN)
    if groups is None:
        held = rest[stratified_sample(strata[rest], valid, seed)]
    else:
        splitter = GroupShuffleSplit(1, test_size=valid, random_state=seed)
        held = rest[next(splitter.split(rest, groups=groups[rest]))[1]]
    part[held] = VALID
    return part
