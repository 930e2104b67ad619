"""Rows that must stay on one side of a split: those with the same text, and those of a group that the caller names."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kickbert.targets.label_cells import labeled_rows
from kickbert.text.columns import without_text
from kickbert.text.duplicates import folded
from kickbert.utils.messages import plural, row_names


def row_groups(texts: Sequence[str], groups: pd.Series | None = None) -> np.ndarray:
    """Number groups of rows that are linked by the same text, ignoring case and white space, or by the same group.

    Rows without a text, and rows without a group, are not linked to one another.

    Args:
        texts: the text of each row, length n.
        groups: group of each row, length n; missing or blank where there is none.
    Returns:
        The number of each row's group, in order of first appearance, int64, shape (n,).
    Warns:
        Rows without a group: counted, and the first of them named.

    >>> row_groups(["a lamp", "a  Lamp", "a boat", "", ""])
    array([0, 0, 1, 2, 3])
    """
    same_text = pd.Series([folded(text) for text in texts], dtype=object).mask(without_text(texts))
    if groups is None:
        return _numbered(same_text)
    known = labeled_rows(groups)
    if not known.all():
        warnings.warn(
            f"{plural(int((~known).sum()), 'row')} without a group in {groups.name!r}, each a group of its own: "
            f"{row_names(~known, groups.index)}",
            stacklevel=4,
        )
    rows, columns = _numbered(same_text), _numbered(groups.where(known).reset_index(drop=True))
    columns = columns + len(texts)  # nodes of a graph, in which each row links its text and its group
    links = coo_array((np.ones(len(texts)), (rows, columns)), shape=(2 * len(texts), 2 * len(texts)))
    return pd.factorize(connected_components(links, directed=False)[1][rows])[0]


def _numbered(names: pd.Series) -> np.ndarray:
    """Number distinct values in order of appearance; each missing value has a number of its own."""
    numbers, distinct = pd.factorize(names)  # -1 for a missing value
    alone = numbers < 0
    numbers[alone] = len(distinct) + np.arange(alone.sum())
    return pd.factorize(numbers)[0]


def warn_of_leaks(groups: np.ndarray, parts: np.ndarray) -> None:
    """Warn of held-out rows whose text, or whose group, training rows have too.

    Args:
        groups: the result of `row_groups`, shape (n,).
        parts: train, valid or test, shape (n,).
    """
    known = np.isin(groups, groups[parts == "train"])
    found = []
    for part in ("valid", "test"):
        held = parts == part
        if (held & known).any():
            found.append(f"{(held & known).sum():,} of {plural(int(held.sum()), f'{part} row')}")
    if found:
        warnings.warn(
            f"{' and '.join(found)} have the text or the group of a training row, so their scores are too high. "
            "kickbert.explore lists them; drop them, or split again",
            stacklevel=4,
        )
