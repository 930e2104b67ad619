"""The rows of a DataFrame that can be used: columns checked together, rows without text or label counted and named."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kickbert.targets.fitting import TargetColumn, column_kind, read_target
from kickbert.targets.options import TargetOptions
from kickbert.text.columns import TextOptions, as_list, check_frame, pick, read_texts
from kickbert.utils.messages import row_names


@dataclass(frozen=True)
class UsableRows:
    """Rows with a text and a label.

    Args:
        df: these rows, in the order of the given ones.
        texts: their texts, cleaned, columns joined.
        column: their target column.
        mask: which of the given rows they are, bool, shape (given rows,).
    """

    df: pd.DataFrame
    texts: list[str]
    column: TargetColumn
    mask: np.ndarray


def usable_rows(
    df: pd.DataFrame, text: TextOptions, target: TargetOptions, **columns: str | Sequence[str] | None
) -> UsableRows:
    """The rows with a text and a label.

    Args:
        df: the rows; not changed.
        columns: further columns that must be there, by the argument that names them.
    Raises:
        TypeError, ValueError: no DataFrame, a column that is not there, or not one such row.
    Warns:
        Rows without text or without label: counted, and the first of them named.
    """
    named = {"text_col": text.text_col, "label_col": target.label_col} | columns
    check_frame(df, **{argument: as_list(names) for argument, names in named.items() if names is not None})
    values = pick(df, target.label_col)
    kind = column_kind(values.dropna(), target)
    texts, empty = read_texts(df, text.text_col, text.cleaner)
    _warn_of(empty, "text", df.index)
    mask = ~empty
    if not kind.is_multilabel:  # for several labels, a missing cell is a row without labels
        labelled = values.notna().to_numpy().reshape(len(df), -1).all(1)
        _warn_of(~labelled, "label", df.index)
        mask = mask & labelled
    if not mask.any():
        raise ValueError(f"no row of df has both a text in {as_list(text.text_col)} and a {target.label_col!r}")
    texts = [text for text, usable in zip(texts, mask, strict=True) if usable]
    return UsableRows(df[mask], texts, read_target(values[mask], target, kind), mask)


def _warn_of(bad: np.ndarray, what: str, index: pd.Index) -> None:
    if bad.any():
        warnings.warn(f"{bad.sum():,} rows have no {what} and are not used: rows {row_names(bad, index)}", stacklevel=4)
