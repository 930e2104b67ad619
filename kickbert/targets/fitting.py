"""Fit a target to a column."""

import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kickbert.targets.base import Column, Target
from kickbert.targets.bins import Bins, UnorderedBins
from kickbert.targets.continuous import Continuous
from kickbert.targets.kinds import target_class
from kickbert.targets.label_cells import LISTS, check_no_dicts, check_not_written
from kickbert.targets.labels import MANY, Labels, OrderedLabels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.targets.options import Format, TargetOptions
from kickbert.utils.cells import SEVERAL

MARKERS = (-1, -100)  # numbers that tools write where a label is missing
NOTHING = ("nan", "<na>", "nat", "na")  # what `str` of Python and `write.csv` of R make of a missing cell


@dataclass(frozen=True)
class TargetColumn:
    """A target column whose cells have been read.

    Args:
        values: the cells, as `Target.read` returns them.
        kind: the class of the target.
        options: options that the column was read with.
    """

    values: Column
    kind: type[Target]
    options: TargetOptions

    @property
    def strata(self) -> np.ndarray:
        """The stratum of each row, as `Target.strata` returns it."""
        return self.kind.strata(self.values)

    def fit(self, train: np.ndarray | None = None) -> tuple[Target, np.ndarray]:
        """Fit the target to the training rows, unless it is known, and encode all rows.

        Args:
            train: the training rows, bool, shape (n,); None for all.
        Returns:
            The target, and the codes of all rows, as `Target.encode` returns them.
        Raises:
            ValueError: there is nothing to learn from these rows.
        """
        target = self.options.target
        if target is None:
            values = self.values if train is None else self.values[train]
            target = self.kind.fit(values, self.options)
            _check_names(target, values)
        return target, target.encode(self.values)


def column_kind(values: Column, options: TargetOptions) -> type[Target]:
    """Return the kind of target in a column: from the options, otherwise guessed from the cells.

    Args:
        values: the target column without its missing cells; or several columns of zeros and ones.
        options: options for reading it.
    Raises:
        ValueError: unknown task, or bins for another task.
    """
    if options.target is not None:
        return type(options.target)
    if options.task is None:
        return guess_kind(values, options.bins, options.delim)
    kind = target_class(options.task)
    if options.bins is None:
        return kind
    if kind.is_number or kind.is_multilabel:
        raise ValueError(
            f"bins={options.bins!r} make buckets, which task={options.task!r} does not have. Omit one of the two"
        )
    return Bins if kind.is_ordered else UnorderedBins


def read_target(values: Column, options: TargetOptions, kind: type[Target] | None = None) -> TargetColumn:
    """Read each cell of a target column once.

    Args:
        values: the target column, nothing missing; or several columns of zeros and ones.
        options: options for reading it.
        kind: the kind of target; None for the result of `column_kind`.
    Raises:
        ValueError: the column cannot be read, or the options contradict one another.
    """
    kind = kind or column_kind(values, options)
    labels = options.labels
    if labels is not None and not isinstance(labels, SEVERAL):
        raise ValueError(
            f"labels={labels!r} is a {type(labels).__name__}; give a list of the classes, in order. To rename them, "
            "change the column: df[label_col].map({0: 'no', 1: 'yes'})"
        )
    if labels is not None and isinstance(values, pd.DataFrame):
        raise ValueError(f"labels={list(labels)} name classes, but several columns have names; leave labels out")
    if labels is not None and kind.is_number:
        raise ValueError(f"labels={list(labels)} name classes, but a number has none; leave labels out")
    values, options = kind.read(values, options)
    return TargetColumn(values, kind, options)


def fit_target(
    values: Column,
    bins: int | Sequence[float] | None = None,
    form: Format = None,
    *,
    delim: str | None = None,
    task: str | None = None,
    labels: Sequence[Any] | None = None,
    decimal: str | None = None,
) -> Target:
    """Fit a target to the training rows.

    Args:
        values: the target column of the training rows, nothing missing; or several columns of zeros and ones.
        bins, form, delim, task, labels, decimal: `bins`, `bin_format`, `label_delim`, `task`, `labels` and `decimal` of
            `TargetOptions`.
    Raises:
        ValueError: there is only one class, the column cannot be read, or arguments contradict one another.
    """
    options = TargetOptions(bins=bins, bin_format=form, label_delim=delim, task=task, labels=labels, decimal=decimal)
    target, _ = read_target(values, options).fit()
    return target


def _check_names(target: Target, values: Column) -> None:
    """Check that all classes have different names, because tables and JSON would merge them.

    Raises:
        ValueError: two classes have the same name.
    """
    by_name: dict[str, Any] = {}
    for label, name in zip(getattr(target, "classes", ()), target.names, strict=False):
        if name in by_name:
            first, second = (type(c).__name__ for c in (by_name[name], label))
            where = f"label_col={list(values)}" if isinstance(values, pd.DataFrame) else f"column {values.name!r}"
            raise ValueError(
                f"two classes of {where} are both written {name!r} ({first} and {second}); merge them, as with "
                ".astype(str), or rename one"
            )
        by_name[name] = label
    nothing = next((name for name in target.names if name.lower() in NOTHING), None)
    if nothing and isinstance(values, pd.Series):
        warnings.warn(
            f"column {values.name!r} has a class {nothing!r}, as a missing cell is written by astype(str) or by R. If "
            f"these rows have no label, drop them: df[df[{values.name!r}] != {nothing!r}]",
            stacklevel=5,
        )
    _warn_of_similar(target.names, values)


def _warn_of_similar(names: Sequence[str], values: Column) -> None:
    """Warn about classes that differ only in blanks, case or Unicode form: they are kept apart."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(" ".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
    similar = [group for group in groups.values() if len(group) > 1]
    if similar and isinstance(values, pd.Series):
        warnings.warn(
            f"classes {' and '.join(map(repr, similar[0]))} of column {values.name!r} differ only in blanks, case or "
            f"Unicode form. If they are the same, merge them: df[{values.name!r}].str.strip().str.lower()",
            stacklevel=6,
        )


def guess_kind(values: Column, bins: Any = None, delim: str | None = None) -> type[Target]:
    """Guess the kind of target from a column.

    Raises:
        ValueError: the column holds dicts, or lists written as text.

    >>> guess_kind(pd.Series(["a", "b"])).task, guess_kind(pd.Series([["a"], []])).task
    ('single label', 'multi-label')
    """
    check_no_dicts(values)
    if isinstance(values, pd.DataFrame) or delim is not None:
        return MultiLabels
    if bins is not None:
        return Bins
    check_not_written(values)
    if isinstance(values.dtype, pd.CategoricalDtype):
        return OrderedLabels if values.cat.ordered else Labels
    if any(isinstance(cell, LISTS) for cell in values):
        return MultiLabels
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numeric and values.min() in MARKERS and (values == 0).any() and values.nunique() <= MANY:
        warnings.warn(
            f"column {values.name!r} has {values.min():g} beside numbers from 0. If it marks rows without a label, "
            f"drop them: df[df[{values.name!r}] >= 0]",
            stacklevel=5,
        )
    if numeric and values.nunique() > MANY and (pd.api.types.is_float_dtype(values) or not values.is_unique):
        return Continuous
    return Labels
