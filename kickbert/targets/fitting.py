"""A target column becomes a task: guessed from what it looks like, and learnt from the training rows alone."""

import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kickbert.targets.binning import MARKS, Format, bin_edges, decimal_mark, range_names, read_numbers
from kickbert.targets.kinds import (
    MULTI,
    ORDINAL,
    REGRESSION,
    SINGLE,
    TASKS,
    Bins,
    Continuous,
    Labels,
    MultiLabels,
    Target,
)
from kickbert.targets.multilabel import LISTS, from_columns, label_lists, multi_hot_width, split_cells
from kickbert.targets.stratification import strata_of

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
        labels: the classes in order, or the names of a multi-hot list's places or of buckets; None for what is found.
        decimal: the decimal mark of numbers kept as text, "." or ","; None where no cell leaves it open.
        target: how the target is encoded, where that is known already: an artifact's, or that of all folds.
    """

    label_col: str | Sequence[str] = "label"
    bins: int | Sequence[float] | None = None
    bin_format: Format = None
    label_delim: str | None = None
    task: str | None = None
    labels: Sequence[Any] | None = None
    decimal: str | None = None
    target: Target | None = None

    @property
    def delim(self) -> str | None:
        """The delimiter between the labels of a cell."""
        return getattr(self.target, "delim", None) if self.target is not None else self.label_delim

    def task_of(self, values: pd.Series | pd.DataFrame) -> str:
        """The task: the one given, or what the column, without its missing cells, looks like."""
        if self.target is not None:
            return self.target.task
        return self.task or guess_task(values, self.bins, self.delim)

    def read(self, values: pd.Series | pd.DataFrame, task: str | None = None) -> "TargetColumn":
        """Read each cell of the target column once.

        Args:
            values: the target column, nothing missing; or several columns of zeros and ones.
            task: one of `TASKS`; None for the result of `task_of`.
        Raises:
            ValueError: the column cannot be read, or the options contradict one another.
        """
        task = task or self.task_of(values)
        decimal = None
        if self.target is None:
            self._check(values, task)
        if isinstance(values, pd.Series) and task == MULTI:
            values = split_cells(values, self.delim)
        elif self._is_number(task):
            values, decimal = self._read_numbers(values)
        return TargetColumn(values, task, decimal, self)

    def _is_number(self, task: str) -> bool:
        """Whether cells are numbers, to be put in buckets or predicted themselves."""
        return task == REGRESSION or self.bins is not None or isinstance(self.target, Bins)

    def _read_numbers(self, values: pd.Series) -> tuple[pd.Series, str | None]:
        """Numbers, float64, and the decimal mark of numbers kept as text."""
        decimal = decimal_mark(values, self.decimal) if self.target is None else self.target.decimal
        numbers = read_numbers(values, decimal)
        if self.target is None and decimal is not None:
            warnings.warn(
                f"column {values.name!r} holds numbers as text; they are read with a decimal {MARKS[decimal]}",
                stacklevel=4,
            )
        return pd.Series(numbers, index=values.index, name=values.name), decimal

    def _check(self, values: pd.Series | pd.DataFrame, task: str) -> None:
        """Check that the options agree with one another.

        Raises:
            ValueError: they do not.
        """
        if task not in TASKS:
            raise ValueError(f"task={task!r} is not one of {list(TASKS)}")
        if isinstance(self.labels, str):
            raise ValueError(f"labels={self.labels!r} is one string; give a list of the classes")
        if self.labels is not None and (task == REGRESSION or isinstance(values, pd.DataFrame)):
            what = "several columns name their own" if isinstance(values, pd.DataFrame) else "a number has none"
            raise ValueError(f"labels={list(self.labels)} name classes, and {what}; leave labels out")
        if self.bins is not None and task in (MULTI, REGRESSION):
            raise ValueError(
                f"bins={self.bins!r} make ordered buckets, which task={task!r} has not; leave one of them out"
            )


@dataclass(frozen=True)
class TargetColumn:
    """A target column whose cells have been read.

    Args:
        values: classes, lists of labels, numbers, or columns of zeros and ones.
        task: one of `TASKS`.
        decimal: the decimal mark of numbers kept as text; None if there are none.
        options: how the column was read.
    """

    values: pd.Series | pd.DataFrame
    task: str
    decimal: str | None
    options: TargetOptions

    @property
    def strata(self) -> np.ndarray:
        """The stratum of each row, as `strata_of` returns it."""
        return strata_of(self.values, self.task, self.options._is_number(self.task))

    def fit(self, train: np.ndarray | None = None) -> tuple[Target, np.ndarray]:
        """Learn the target from the training rows, unless it is known, and encode all rows.

        Args:
            train: the training rows, bool, shape (n,); None for all.
        Returns:
            The target, and the code of each row, as `Target.encode` returns it.
        Raises:
            ValueError: there is nothing to learn from these rows.
        """
        target = self.options.target or self._fit(self.values if train is None else self.values[train])
        return target, target.encode(self.values)

    def _fit(self, values: pd.Series | pd.DataFrame) -> Target:
        options = self.options
        labels = None if options.labels is None else tuple(options.labels)
        fits: dict[str, Callable[[], Target]] = {
            SINGLE: lambda: _fit_labels(values, labels),
            ORDINAL: lambda: _fit_ordered(values, labels),
            MULTI: lambda: _fit_multi(values, options.delim, labels),
            REGRESSION: lambda: _fit_numbers(values, self.decimal),
        }
        if options.bins is None:
            target = fits[self.task]()
        else:
            target = _fit_bins(values, options.bins, options.bin_format, self.task, labels, self.decimal)
        if isinstance(target, Labels):
            _check_names(target, values)
        return target


def fit_target(
    values: pd.Series | pd.DataFrame,
    bins: int | Sequence[float] | None = None,
    form: Format = None,
    *,
    delim: str | None = None,
    task: str | None = None,
    labels: Sequence[Any] | None = None,
    decimal: str | None = None,
) -> Target:
    """Learn the target from the training rows.

    Args:
        values: the target column of the training rows, nothing missing; or several columns of zeros and ones.
        bins, form, delim, task, labels, decimal: as `bins`, `bin_format`, `label_delim`, `task`, `labels` and
            `decimal` of `TargetOptions`.
    Raises:
        ValueError: there is only one class, the column cannot be read, or arguments contradict one another.
    """
    options = TargetOptions(bins=bins, bin_format=form, label_delim=delim, task=task, labels=labels, decimal=decimal)
    target, _ = options.read(values).fit()
    return target


def _check_names(target: Labels, values: pd.Series | pd.DataFrame) -> None:
    """Check that no two classes are written alike: in tables and JSON they would be one.

    Raises:
        ValueError: some are.
    """
    by_name: dict[str, Any] = {}
    for label, name in zip(target.classes, target.names, strict=True):
        if name in by_name:
            kinds = [type(c).__name__ for c in (by_name[name], label)]
            where = f"label_col={list(values)}" if isinstance(values, pd.DataFrame) else f"column {values.name!r}"
            raise ValueError(
                f"two classes of {where} are both written {name!r} ({kinds[0]} and {kinds[1]}); make them one, with "
                ".astype(str) say, or give each a name of its own"
            )
        by_name[name] = label


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
    if any(isinstance(cell, LISTS) for cell in values):
        return MULTI
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numeric and values.nunique() > MANY and (pd.api.types.is_float_dtype(values) or not values.is_unique):
        return REGRESSION
    return SINGLE


def _fit_bins(
    values: pd.Series,
    bins: int | Sequence[float],
    form: Format,
    task: str,
    labels: tuple | None,
    decimal: str | None,
) -> Bins:
    numbers = values.to_numpy()
    edges = (
        bin_edges(pd.Series(numbers), bins) if isinstance(bins, (int, np.integer)) else np.asarray(bins, dtype=float)
    )
    if edges.ndim != 1 or not len(edges) or (np.diff(edges) <= 0).any() or not np.isfinite(edges).all():
        raise ValueError(f"bins={bins!r} must be a number of buckets or ascending inner edges")
    names, codes = labels or range_names(edges.tolist(), form), np.digitize(numbers, edges)
    if len(names) != len(edges) + 1:
        raise ValueError(f"labels={list(names)} name {len(names)} buckets, and bins={bins!r} make {len(edges) + 1}")
    counts = np.bincount(codes, minlength=len(names))
    if counts.min() < len(numbers) / len(counts) / 2:
        sizes = ", ".join(f"{name}: {n:,}" for name, n in zip(names, counts, strict=True))
        warnings.warn(f"the bins of {values.name!r} are uneven ({sizes})", stacklevel=4)
    borders = np.array([min(numbers.min(), edges[0]), *edges, max(numbers.max(), edges[-1])])
    empty = (borders[1:] + borders[:-1]) / 2  # the center of a bucket that no training row fell in
    sums = np.bincount(codes, weights=numbers, minlength=len(names))
    centers = np.where(counts, sums / np.maximum(counts, 1), empty)
    return Bins(tuple(names), task, tuple(edges.tolist()), tuple(centers.tolist()), decimal)


def _fit_labels(values: pd.Series, labels: tuple | None) -> Labels:
    if any(isinstance(cell, LISTS) for cell in values):
        raise ValueError(
            f"column {values.name!r} holds lists, such as {next(c for c in values if isinstance(c, LISTS))}, and so "
            "several labels a row; leave task out, or give the class alone: of one-hot lists .map(np.argmax)"
        )
    categorical = isinstance(values.dtype, pd.CategoricalDtype)
    present = values.unique().tolist()
    classes = _ordered(values, present, labels, values.cat.categories if categorical else None)
    if len(classes) < 2:
        raise ValueError(f"column {values.name!r} holds one class only, {classes}; a classifier needs at least two")
    many = pd.api.types.is_float_dtype(values) and len(classes) > MANY
    if labels is None and (len(classes) == len(values) or many):
        raise ValueError(
            f"column {values.name!r} holds {len(classes):,} different values in {len(values):,} rows, such as "
            f"{values.iloc[0]!r}: no classes; give the label column; for a number bins=4 or task='regression'; "
            "with one row of each class the classes: labels=[…]"
        )
    return Labels(tuple(classes))


def _ordered(
    values: pd.Series, present: Collection[Any], labels: tuple | None, known: Sequence[Any] | None = None
) -> list[Any]:
    """The classes in order: as the caller says, else as the categories stand, else sorted.

    Args:
        present: labels of the column.
        labels: what the caller says.
        known: the column's categories.
    Raises:
        ValueError: a label that the caller does not name.
    """
    present = set(present)
    if labels is None and known is not None:
        return [c for c in known if c in present]
    if labels is None:
        alike = len({type(c) for c in present}) == 1
        return sorted(present, key=None if alike else lambda c: (str(c), type(c).__name__))
    unnamed, absent = present - set(labels), [c for c in labels if c not in present]
    if unnamed:
        name = min(unnamed, key=str)
        raise ValueError(
            f"column {values.name!r} holds {name!r}, which is not one of labels={list(labels)}; add it, or leave those "
            "rows out"
        )
    if absent:
        warnings.warn(f"no training row has {absent[:5]} of labels, so it will hardly be predicted", stacklevel=6)
    return list(labels)


def _fit_ordered(values: pd.Series, labels: tuple | None) -> Labels:
    numeric = pd.api.types.is_numeric_dtype(values)
    if labels is None and not numeric and not (isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered):
        raise ValueError(
            f"task='ordinal' needs to know the order of {values.name!r}: give labels in order, bins for a numeric "
            "column, or make it an ordered pd.Categorical"
        )
    return Labels(_fit_labels(values, labels).classes, ORDINAL)


def _fit_multi(values: pd.Series | pd.DataFrame, delim: str | None, labels: tuple | None) -> MultiLabels:
    if isinstance(values, pd.DataFrame):
        from_columns(values)  # checks them
        return MultiLabels(tuple(values.columns), columns=True)
    if width := multi_hot_width(values, delim):
        if labels is not None and len(labels) != width:
            raise ValueError(
                f"labels={list(labels)} are {len(labels)} names, and the lists of column {values.name!r} have {width} "
                "places; give a name for each"
            )
        return MultiLabels(labels or tuple(range(width)), delim=delim, multi_hot=True)
    present = {label for row in label_lists(values, delim, width=0) for label in row}
    if len(present) < 2:
        raise ValueError(
            f"column {values.name!r} holds {len(present)} labels, {list(present)}; "
            f"is label_delim={delim!r} what stands between them?"
        )
    return MultiLabels(tuple(_ordered(values, present, labels)), delim=delim)


def _fit_numbers(values: pd.Series, decimal: str | None) -> Continuous:
    numbers = values.to_numpy()
    if len(np.unique(numbers)) < 2:
        raise ValueError(f"column {values.name!r} holds one number only, {numbers[0]:g}; there is nothing to learn")
    # Sums of money, counts and times: a few are a thousand times the others, and would be all that the loss sees.
    log = bool(numbers.min() >= 0 and pd.Series(numbers).skew() > 2)
    scale = np.log1p(numbers) if log else numbers
    return Continuous(str(values.name), float(scale.mean()), float(scale.std()), log, decimal)
