"""Training, validation and test rows: stratified, seeded, or as the caller says."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.preprocessing import MultiLabelBinarizer

from kickbert.targets.fitting import guess_task
from kickbert.targets.kinds import MULTI, REGRESSION
from kickbert.targets.multilabel import from_columns, label_lists
from kickbert.text.columns import as_list, check_column, check_frame, pick

TRAIN, VALID, TEST = "train", "valid", "test"


def stratified(strata: np.ndarray, share: float, seed: int | None) -> np.ndarray:
    """Choose a share of the rows such that each stratum gives the same share.

    A stratum of a single row cannot be on both sides: it stays with the rows not chosen, and is counted in a warning.

    Args:
        strata: stratum of each row, shape (n,); or zeros and ones, shape (n, labels), of which each label then gives
            its share (Sechidis, Tsoumakas and Vlahavas 2011, by iterative-stratification).
        share: between 0 and 1.
    Returns:
        True for the rows chosen, bool, shape (n,); `round(n * share)` of them, but for single rows.
    """
    if not 0 < share < 1:
        raise ValueError(f"a share of {share} of the rows cannot be held out; give one between 0 and 1, such as 0.15")
    if strata.ndim == 2:
        return _iterative(strata, share, seed)
    rng = np.random.default_rng(seed)
    names, inverse, counts = np.unique(strata, return_inverse=True, return_counts=True)
    if (counts == 1).any():
        single = [str(n) for n in names[counts == 1]]
        warnings.warn(f"{len(single)} classes have a single row, kept for training: {single[:5]}", stacklevel=3)
    chosen = np.zeros(len(strata), dtype=bool)
    # Each row's rank within its stratum, as a share: taking the smallest over all strata takes the same share of each.
    order = rng.permutation(len(strata))
    rank = pd.Series(inverse[order]).groupby(inverse[order]).cumcount().to_numpy()
    place = (rank + rng.uniform(0, 1, len(names))[inverse[order]]) / counts[inverse[order]]
    place[counts[inverse[order]] == 1] = np.inf
    take = np.argsort(place, kind="stable")[: max(1, round(len(strata) * share))]
    chosen[order[take]] = np.isfinite(place[take])
    return chosen


def _iterative(strata: np.ndarray, share: float, seed: int | None) -> np.ndarray:
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    none = strata.sum(1, keepdims=True) == 0  # rows of no label are spread as those of any other
    splitter = MultilabelStratifiedShuffleSplit(1, test_size=share, random_state=seed)
    _, held = next(splitter.split(strata, np.concatenate([strata, none], axis=1)))
    chosen = np.zeros(len(strata), dtype=bool)
    chosen[held] = True
    return chosen


def strata_of(
    values: pd.Series | pd.DataFrame, task: str, bins: int | Sequence[float] | None = None, delim: str | None = None
) -> np.ndarray:
    """What a split is stratified by: the label, each of several labels, or ten quantiles of a number.

    Returns:
        Shape (n,); or (n, labels) of zeros and ones for several labels.
    """
    if task == MULTI:
        return _indicators(values, delim)
    numbers = pd.to_numeric(values, errors="coerce")
    if (bins is not None or task == REGRESSION) and numbers.notna().all():
        return (numbers.rank(method="first").to_numpy() * 10 // (len(values) + 1)).astype(int)
    return values.astype(str).to_numpy()


def _indicators(values: pd.Series | pd.DataFrame, delim: str | None) -> np.ndarray:
    if isinstance(values, pd.DataFrame):
        return from_columns(values)
    return MultiLabelBinarizer().fit_transform([map(str, labels) for labels in label_lists(values, delim)])


def split(
    df: pd.DataFrame,
    valid: float = 0.15,
    test: float = 0.15,
    seed: int | None = 42,
    label_col: str | Sequence[str] | None = None,
    label_delim: str | None = None,
) -> pd.DataFrame:
    """Add a column `split` that says train, valid or test: 70/15/15 by default.

    Args:
        df: the rows; not changed.
        valid: share of validation rows, 0 for none.
        test: share of test rows, 0 for none.
        label_col: column to stratify by; by default "label" where there is one. A numeric column of many values is
            stratified by its quantiles; for several labels, the column of lists, or columns of zeros and ones.
        label_delim: what stands between the labels of a cell.
    Returns:
        A copy of df with the column `split`.

    >>> split(pd.DataFrame({"text": list("abcdefghij")}), valid=0.2, test=0.2)["split"].value_counts().to_dict()
    {'train': 6, 'valid': 2, 'test': 2}
    """
    if label_col is None and isinstance(df, pd.DataFrame) and "label" in df.columns:
        label_col = "label"
    check_frame(df, as_list(label_col) if label_col else [], "label_col")
    if valid < 0 or test < 0 or valid + test >= 1:
        raise ValueError(f"valid={valid} and test={test} leave no training rows; their sum must be under 1")
    if label_col is None:
        strata = np.zeros(len(df), dtype=int)
    else:
        values = pick(df, label_col)
        strata = strata_of(values, guess_task(values.dropna(), delim=label_delim), delim=label_delim)
    parts = np.full(len(df), TRAIN, dtype=object)
    if test:
        parts[stratified(strata, test, seed)] = TEST
    if valid:
        rest = np.flatnonzero(parts == TRAIN)
        parts[rest[stratified(strata[rest], valid / (1 - test), seed)]] = VALID
    return df.assign(split=parts)


def valid_rows(
    df: pd.DataFrame, valid: float | str | Sequence, strata: np.ndarray, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows train and which validate.

    Args:
        valid: a share (stratified); a column that holds train/valid/test or booleans (True validates); or row labels.
        strata: stratum of each row, shape (n,).
    Returns:
        Two masks, bool, shape (n,). Test rows are in neither.
    Raises:
        ValueError: no training or no validation rows come of it.
    """
    if isinstance(valid, str):
        train, held = _by_column(df, valid)
    elif isinstance(valid, (int, float)):
        held = stratified(strata, float(valid), seed)
        train = ~held
    else:
        unknown = [v for v in valid if v not in df.index]
        if unknown:
            raise ValueError(f"valid names {len(unknown):,} rows that df.index lacks, such as {unknown[0]!r}")
        held = df.index.isin(list(valid))
        train = ~held
    if not train.any() or not held.any():
        raise ValueError(
            f"valid={valid!r} gives {train.sum():,} training and {held.sum():,} validation rows; both must have some"
        )
    return train, held


def _by_column(df: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    check_column(df, column, "valid")
    if pd.api.types.is_bool_dtype(df[column]):
        held = df[column].to_numpy(dtype=bool)
        return ~held, held
    parts = df[column].astype(str)
    unknown = sorted(set(parts) - {TRAIN, VALID, TEST})
    if unknown:
        raise ValueError(f"column {column!r} holds {unknown[:5]}; it may hold 'train', 'valid', 'test' or booleans")
    return (parts == TRAIN).to_numpy(), (parts == VALID).to_numpy()
