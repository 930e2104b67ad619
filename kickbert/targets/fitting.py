"""A target column becomes a task: guessed from what it looks like, and learnt from the training rows alone."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import MultiLabelBinarizer

from kickbert.targets.binning import Format, bin_edges, range_names, read_numbers
from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION, SINGLE, TASKS, Bins, Labels, MultiLabels, Numbers, Target
from kickbert.targets.multilabel import from_columns, label_lists

MANY = 100  # different numbers of a column that are no longer taken for classes


@dataclass(frozen=True)
class TargetOptions:
    """How the target is read and learnt; the arguments of `learner_from_df` of the same names.

    Args:
        label_col: the column, or several of zeros and ones, a label each.
        bins: of a number: how many quantile buckets, or their inner edges.
        bin_format: how bucket edges are written, as in `range_names`.
        label_delim: what stands between the labels of a cell.
        task: one of `TASKS`; None for what the column looks like.
        target: how the target is encoded, where that is known already: an artifact's, or that of all folds.
    """

    label_col: str | Sequence[str] = "label"
    bins: int | Sequence[float] | None = None
    bin_format: Format = None
    label_delim: str | None = None
    task: str | None = None
    target: Target | None = None

    @property
    def delim(self) -> str | None:
        """What stands between the labels of a cell."""
        return getattr(self.target, "delim", None) if self.target is not None else self.label_delim

    def task_of(self, values: pd.Series | pd.DataFrame) -> str:
        """The task, from the target column without its missing cells where nothing else tells it."""
        if self.target is not None:
            return self.target.task
        return self.task or guess_task(values, self.bins, self.delim)

    def strata(self, values: pd.Series | pd.DataFrame, task: str) -> np.ndarray:
        """What a split is stratified by, as `strata_of` says."""
        return strata_of(values, task, getattr(self.target, "edges", self.bins), self.delim)

    def fit(self, values: pd.Series | pd.DataFrame, task: str) -> Target:
        """The target, learnt from the training rows unless it is known."""
        return self.target or fit_target(values, self.bins, self.bin_format, delim=self.delim, task=task)


def fit_target(
    values: pd.Series | pd.DataFrame,
    bins: int | Sequence[float] | None = None,
    form: Format = None,
    *,
    delim: str | None = None,
    task: str | None = None,
) -> Target:
    """Learn what is predicted from the training rows alone.

    Args:
        values: the target column of the training rows, nothing missing; or several columns of zeros and ones.
        bins: None; a number of quantile buckets; or the inner edges.
        form: how bucket edges are written, as in `range_names`.
        delim: what stands between the labels of a cell.
        task: one of `TASKS`; None for what the column looks like.
    Raises:
        ValueError: one class only, a column that cannot be read so, or arguments that contradict one another.
    """
    task = task or guess_task(values, bins, delim)
    fits: dict[str, Callable[[], Target]] = {
        SINGLE: lambda: _fit_labels(values) if bins is None else _fit_bins(values, bins, form, task),
        ORDINAL: lambda: _fit_ordered(values) if bins is None else _fit_bins(values, bins, form, task),
        MULTI: lambda: _fit_multi(values, delim),
        REGRESSION: lambda: _fit_numbers(values),
    }
    if task not in fits:
        raise ValueError(f"task={task!r} is not one of {list(TASKS)}")
    if bins is not None and task in (MULTI, REGRESSION):
        raise ValueError(f"bins={bins!r} make ordered buckets, which task={task!r} has not; leave one of them out")
    return fits[task]()


def guess_task(values: pd.Series | pd.DataFrame, bins: Any = None, delim: str | None = None) -> str:
    """What a target column looks like.

    >>> guess_task(pd.Series(["a", "b"])), guess_task(pd.Series([["a"], []])), guess_task(pd.Series([1, 2]), bins=2)
    ('single label', 'multi-label', 'ordinal')
    """
    if isinstance(values, pd.DataFrame) or delim is not None:
        return MULTI
    if bins is not None:
        return ORDINAL
    if isinstance(values.dtype, pd.CategoricalDtype):
        return ORDINAL if values.cat.ordered else SINGLE
    if any(isinstance(cell, (list, tuple, set, frozenset, np.ndarray)) for cell in values):
        return MULTI
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numeric and values.nunique() > MANY and (pd.api.types.is_float_dtype(values) or not values.is_unique):
        return REGRESSION
    return SINGLE


def _fit_bins(values: pd.Series, bins: int | Sequence[float], form: Format, task: str) -> Bins:
    numbers = read_numbers(values)
    edges = (
        bin_edges(pd.Series(numbers), bins) if isinstance(bins, (int, np.integer)) else np.asarray(bins, dtype=float)
    )
    if edges.ndim != 1 or not len(edges) or (np.diff(edges) <= 0).any() or not np.isfinite(edges).all():
        raise ValueError(f"bins={bins!r} must be a number of buckets or ascending inner edges")
    names, codes = range_names(edges.tolist(), form), np.digitize(numbers, edges)
    counts = np.bincount(codes, minlength=len(names))
    if counts.min() < len(numbers) / len(counts) / 2:
        sizes = ", ".join(f"{name}: {n:,}" for name, n in zip(names, counts, strict=True))
        warnings.warn(f"the bins of {values.name!r} are uneven ({sizes})", stacklevel=4)
    borders = np.array([min(numbers.min(), edges[0]), *edges, max(numbers.max(), edges[-1])])
    empty = (borders[1:] + borders[:-1]) / 2  # the center of a bucket that no training row fell in
    sums = np.bincount(codes, weights=numbers, minlength=len(names))
    centers = np.where(counts, sums / np.maximum(counts, 1), empty)
    return Bins(tuple(names), task, tuple(edges.tolist()), tuple(centers.tolist()))


def _fit_labels(values: pd.Series) -> Labels:
    if isinstance(values.dtype, pd.CategoricalDtype):
        present = set(values)
        classes = [c for c in values.cat.categories if c in present]
    else:
        classes = values.unique().tolist()
        classes = sorted(classes, key=None if len({type(c) for c in classes}) == 1 else str)
    if len(classes) < 2:
        raise ValueError(f"column {values.name!r} holds one class only, {classes}; a classifier needs at least two")
    if len(classes) == len(values) or (pd.api.types.is_float_dtype(values) and len(classes) > MANY):
        raise ValueError(
            f"column {values.name!r} holds {len(classes):,} different values in {len(values):,} rows, such as "
            f"{values.iloc[0]!r}: no classes; give the label column, or for a number bins=4 or task='regression'"
        )
    return Labels(tuple(classes))


def _fit_ordered(values: pd.Series) -> Labels:
    numeric = pd.api.types.is_numeric_dtype(values)
    if not numeric and not (isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered):
        raise ValueError(
            f"task='ordinal' needs to know the order of {values.name!r}: give bins for a numeric column, or make it "
            "an ordered pd.Categorical"
        )
    return Labels(_fit_labels(values).classes, ORDINAL)


def _fit_multi(values: pd.Series | pd.DataFrame, delim: str | None) -> MultiLabels:
    if isinstance(values, pd.DataFrame):
        from_columns(values)  # checks them
        return MultiLabels(tuple(values.columns), columns=True)
    found = {label for labels in label_lists(values, delim) for label in labels}
    if len(found) < 2:
        raise ValueError(
            f"column {values.name!r} holds {len(found)} labels, {list(found)}; "
            f"is label_delim={delim!r} what stands between them?"
        )
    return MultiLabels(tuple(sorted(found, key=str)), delim=delim)


def _fit_numbers(values: pd.Series) -> Numbers:
    numbers = read_numbers(values)
    if len(np.unique(numbers)) < 2:
        raise ValueError(f"column {values.name!r} holds one number only, {numbers[0]:g}; there is nothing to learn")
    # Sums of money, counts and times: a few are a thousand times the others, and would be all that the loss sees.
    log = bool(numbers.min() >= 0 and pd.Series(numbers).skew() > 2)
    scale = np.log1p(numbers) if log else numbers
    return Numbers(str(values.name), float(scale.mean()), float(scale.std()), log)


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
