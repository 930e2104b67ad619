"""Split rows into train, validation and test sets: stratified and seeded, or as the caller specifies."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

from kickbert.data.row_groups import row_groups, warn_of_leaks
from kickbert.data.tables.annotations import check_no_export
from kickbert.targets.label_cells import labeled_rows
from kickbert.targets.stratification import default_strata
from kickbert.text.columns import as_list, check_column, check_frame, pick, read_texts
from kickbert.utils.messages import plural

TRAIN, VALID, TEST = "train", "valid", "test"
SMALL = 0.1  # share of a fold up to which a group hardly changes its size
SPELLINGS = {
    "train": TRAIN,
    "training": TRAIN,
    "valid": VALID,
    "validation": VALID,
    "val": VALID,
    "dev": VALID,
    "test": TEST,
}


def stratified_sample(
    strata: np.ndarray, fraction: float, seed: int | None, groups: np.ndarray | None = None
) -> np.ndarray:
    """Draw the same fraction of rows from each stratum.

    A stratum with a single row, or all of whose rows are one group, cannot be split. It is not chosen, and a warning
    counts such strata.

    Args:
        strata: stratum of each row, shape (n,); or zeros and ones, shape (n, labels), to stratify by every label
            (Sechidis, Tsoumakas and Vlahavas 2011, with iterative-stratification).
        fraction: between 0 and 1.
        groups: the result of `row_groups`, shape (n,): rows of a group are chosen together. None for no groups.
    Returns:
        True for the chosen rows, bool, shape (n,). `round(n * fraction)` rows are chosen, fewer if strata have a single
        row, or if groups do not fit; at least one group if there are several.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"cannot hold out a fraction of {fraction}; pass a number between 0 and 1, such as 0.15")
    groups = np.arange(len(strata)) if groups is None else pd.factorize(groups)[0]
    _, first, sizes = np.unique(groups, return_index=True, return_counts=True)
    room = max(1, round(len(strata) * fraction))
    if strata.ndim == 2:
        order = _iterative(strata[first], fraction, seed)
    else:
        mixed = pd.Series(strata).groupby(groups).nunique().to_numpy() > 1
        order = _ordered(strata[first], mixed, seed)
    chosen = _filled(order, sizes, room)
    if not len(chosen) and len(sizes) > 1:
        chosen = order[np.argsort(sizes[order])[:1]]
    return np.isin(groups, chosen)


def _filled(order: np.ndarray, sizes: np.ndarray, room: int) -> np.ndarray:
    """Take groups in this order as long as they fit into a number of rows."""
    chosen = []
    for group in order:
        if sizes[group] <= room:
            chosen.append(group)
            room -= sizes[group]
        if not room:
            break
    return np.array(chosen, dtype=int)


def _ordered(strata: np.ndarray, mixed: np.ndarray, seed: int | None) -> np.ndarray:
    """Order groups so that the first ones contain the same fraction of each stratum, without those that are alone.

    Args:
        strata: stratum of each group, shape (groups,).
        mixed: which groups have rows of other strata too, bool, shape (groups,).
    """
    rng = np.random.default_rng(seed)
    names, inverse, counts = np.unique(strata, return_inverse=True, return_counts=True)
    alone = (counts == 1)[inverse] & ~mixed
    if alone.any():
        single = [str(name) for name in np.unique(strata[alone])]
        classes = plural(len(single), "class stays", "classes stay")
        warnings.warn(
            f"{classes} in the training set, because there is a single row, text or group: {single[:5]}",
            stacklevel=4,
        )
    # Each group's rank within its stratum, scaled to [0, 1]. The smallest are the same fraction of each stratum.
    order = rng.permutation(len(strata))
    rank = pd.Series(inverse[order]).groupby(inverse[order]).cumcount().to_numpy()
    place = (rank + rng.uniform(0, 1, len(names))[inverse[order]]) / counts[inverse[order]]
    ordered = order[np.argsort(place, kind="stable")]
    return ordered[~alone[ordered]]


def _iterative(strata: np.ndarray, fraction: float, seed: int | None) -> np.ndarray:
    """Choose groups so that they contain the same fraction of each label; strata are zeros and ones."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    none = strata.sum(1, keepdims=True) == 0  # rows without labels are stratified like one more label
    splitter = MultilabelStratifiedShuffleSplit(1, test_size=fraction, random_state=seed)
    return next(splitter.split(strata, np.concatenate([strata, none], axis=1)))[1]


def split(
    df: pd.DataFrame,
    valid: float = 0.15,
    test: float = 0.15,
    seed: int | None = 42,
    label_col: str | Sequence[str] | None = None,
    label_delim: str | None = None,
    text_col: str | Sequence[str] | None = None,
    group_col: str | None = None,
) -> pd.DataFrame:
    """Add a column `split` with the values train, valid and test: 70/15/15 by default.

    Rows with the same text or of the same group get the same part. Rows that have a column `split` keep their parts, so
    that nothing that others held out is trained on; without validation rows, a share of the training rows becomes
    validation rows.

    Args:
        df: the rows; not changed.
        valid: fraction of validation rows, 0 for none.
        test: fraction of test rows, 0 for none.
        label_col: column to stratify by; "label" by default if it exists. Numbers (also as text) that are mostly unique
            are stratified by quantiles. Multi-label targets are a column of lists, or columns of zeros and ones.
        label_delim: delimiter between the labels of a cell.
        text_col: column of texts, or several; "text" by default if it exists. Rows with the same text, ignoring case
            and white space, stay together.
        group_col: column of groups (customers, authors). Rows of the same group stay together, so fractions may be
            less exact.
    Returns:
        A copy of df with the column `split`.
    Raises:
        ValueError: fractions without training rows, or a column `split` that holds something else.
    Warns:
        df has a column `split`, which is used, and whether its held-out rows repeat texts or groups of training rows.
        Rows without a label: they are counted, and split separately in the same proportions.

    >>> split(pd.DataFrame({"text": list("abcdefghij")}), valid=0.2, test=0.2)["split"].value_counts().to_dict()
    {'train': 6, 'valid': 2, 'test': 2}
    """
    if label_col is None and isinstance(df, pd.DataFrame) and "label" in df.columns:
        label_col = "label"
    if text_col is None and isinstance(df, pd.DataFrame) and "text" in df.columns:
        text_col = "text"
    check_no_export(df)
    named = {"label_col": label_col, "text_col": text_col, "group_col": group_col}
    check_frame(df, **{argument: as_list(column) for argument, column in named.items() if column is not None})
    if valid < 0 or test < 0 or valid + test >= 1:
        raise ValueError(f"valid={valid} and test={test} leave no training rows; their sum must be below 1")
    texts = [""] * len(df) if text_col is None else read_texts(df, text_col)[0]
    groups = row_groups(texts, None if group_col is None else df[group_col])
    given = "split" in df.columns
    parts = read_parts(df, "split") if given else np.full(len(df), TRAIN, dtype=object)
    shares = {TEST: 0.0 if given else test, VALID: 0.0 if given and (parts == VALID).any() else valid}
    for rows, strata in _strata(df, label_col, label_delim):
        parts[rows] = _held_out(parts[rows], strata, groups[rows], shares, seed)
    if given:
        _warn_of_given(parts, groups)
    return df.assign(split=parts)


def _warn_of_given(parts: np.ndarray, groups: np.ndarray) -> None:
    """Warn that a column `split` is used, and of leaks in it."""
    counts = ", ".join(f"{(parts == part).sum():,} {part}" for part in (TRAIN, VALID, TEST))
    warnings.warn(
        f"df has a column 'split', which is used ({counts}). To split again, drop it: df.drop(columns='split')",
        stacklevel=3,
    )
    warn_of_leaks(groups, parts)


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


def _held_out(
    parts: np.ndarray, strata: np.ndarray, groups: np.ndarray, shares: dict[str, float], seed: int | None
) -> np.ndarray:
    """Move shares of the training rows to other parts.

    Args:
        parts: part of each row, shape (n,); not changed.
        shares: fraction of all rows by part; 0 for none.
    """
    parts, left = parts.copy(), 1.0
    for part, share in shares.items():
        rest = np.flatnonzero(parts == TRAIN)
        if share and len(rest):
            parts[rest[stratified_sample(strata[rest], share / left, seed, groups[rest])]] = part
            left -= share
    return parts


def valid_rows(
    df: pd.DataFrame, valid: float | str | Sequence | None, strata: np.ndarray, texts: Sequence[str], seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Select the training rows and the validation rows.

    Args:
        valid: a fraction (stratified); 0 or None for no validation rows; a column as for `read_parts`; the index
            labels of the validation rows; or a mask of them.
        strata: stratum of each row, shape (n,).
        texts: text of each row, length n; a fraction leaves rows with the same text together.
    Returns:
        Two masks, bool, shape (n,). Test rows are in neither.
    Raises:
        ValueError: no training rows would be left.
    Warns:
        `valid` selects no validation rows, or rows with texts of training rows.
    """
    if valid is None or (isinstance(valid, (int, float)) and valid == 0):
        return np.ones(len(df), dtype=bool), np.zeros(len(df), dtype=bool)
    groups = row_groups(texts)
    if isinstance(valid, (int, float)):
        held = stratified_sample(strata, float(valid), seed, groups)
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
    if not isinstance(valid, (int, float)):
        warn_of_leaks(groups, np.where(train, TRAIN, np.where(held, VALID, TEST)))
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


def fold_assignments(
    strata: np.ndarray, groups: np.ndarray, folds: int, repeats: int, valid: float, seed: int
) -> list[np.ndarray]:
    """Assign each row to train, valid or test, for each fold of each repeat.

    Args:
        strata: stratum of each row, shape (n,), or zeros and ones, shape (n, labels).
        groups: group of each row, shape (n,); rows of a group stay together.
        folds: number of folds, at least 2.
        repeats: number of repeats, at least 1.
        valid: fraction of the rows outside the test fold to validate on.
        seed: random seed.
    Returns:
        `repeats * folds` arrays of str, shape (n,); in each repeat every row is a test row once.
    Raises:
        ValueError: a number is out of range, or there are fewer rows or groups than folds.
    """
    units = len(np.unique(groups))
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


def held_out_folds(strata: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the positions of the test rows of each fold, int64; arguments as for `fold_assignments`."""
    options = {"n_splits": folds, "shuffle": True, "random_state": seed}
    numbers, first, sizes = np.unique(groups, return_index=True, return_counts=True)
    several, by_group = strata.ndim == 2, GroupKFold(**options)
    if len(first) == len(groups) or (several and sizes.max() * folds <= len(groups) * SMALL):
        splitter = (MultilabelStratifiedKFold if several else StratifiedKFold)(**options)
        tests = [numbers[test] for _, test in splitter.split(first, strata[first])]
        yield from (np.flatnonzero(np.isin(groups, test)) for test in tests)
        return
    splitter = by_group if several else StratifiedGroupKFold(**options)
    tests = [test for _, test in splitter.split(groups, strata, groups)]
    if not all(map(len, tests)):  # scikit-learn's greedy assignment may leave a fold without groups
        tests = [test for _, test in by_group.split(groups, strata, groups)]
    yield from tests


def _fold_part(strata: np.ndarray, groups: np.ndarray, test: np.ndarray, valid: float, seed: int) -> np.ndarray:
    part = np.full(len(strata), TRAIN, dtype=object)
    part[test] = TEST
    return _held_out(part, strata, groups, {VALID: valid}, seed)
