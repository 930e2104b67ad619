"""The usable rows of a DataFrame: columns checked together, each text cleaned once and tokenized once."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from kickbert.data.packed import Packed
from kickbert.data.tables.annotations import check_no_export
from kickbert.data.transforms import TextTokenizer
from kickbert.tabular.choosing import find_columns
from kickbert.tabular.column_model import ColumnModel
from kickbert.tabular.columns import TEXT_ALONE, Column, ColumnNames
from kickbert.tabular.fitting import fit_columns
from kickbert.targets.base import Target
from kickbert.targets.fitting import TargetColumn, column_kind, read_target
from kickbert.targets.kinds import unseen_labels
from kickbert.targets.label_cells import labeled_rows, no_labels
from kickbert.targets.options import TargetOptions
from kickbert.text.cleaning import Cleaner
from kickbert.text.columns import as_list, check_frame, check_not_in_texts, original_texts, pick, read_texts
from kickbert.text.text_columns import find_text_columns
from kickbert.utils.messages import plural, row_names
from kickbert.utils.progress import say


@dataclass(frozen=True, eq=False)
class TextRows:
    """Rows with a text and a label.

    Args:
        df: these rows, in the order of the original DataFrame.
        texts: their texts, cleaned, with columns joined.
        column: their target column.
        mask: mask of these rows among the original ones, bool, shape (original rows,).
        tokenizer: reads the texts.
        text_col: the text columns.
        cleaner: cleaning that was applied to the texts; None for no cleaning.
        columns: the columns to read beside the text, or a model that is fitted to them.
    """

    df: pd.DataFrame
    texts: list[str]
    column: TargetColumn
    mask: np.ndarray
    tokenizer: TextTokenizer
    text_col: list[str]
    cleaner: Cleaner | None = None
    columns: tuple[Column, ...] | ColumnModel = ()

    @classmethod
    def from_df(
        cls,
        df: pd.DataFrame,
        tokenizer: TextTokenizer,
        target: TargetOptions,
        *,
        text_col: str | Sequence[str] = "text",
        cleaning: str | Sequence | Cleaner | None = None,
        columns: ColumnNames | ColumnModel = TEXT_ALONE,
        skip: Sequence[str] = (),
        **others: str | Sequence[str] | None,
    ) -> "TextRows":
        """Read the rows with a text and a label.

        Args:
            df: the rows; not changed.
            tokenizer: reads the texts.
            target: options for reading the target column.
            text_col, cleaning: as in `TextDataLoaders.from_df`.
            columns: the columns to read beside the text, or a model that is fitted to them.
            skip: further columns that "auto" does not choose, such as the split.
            others: other columns that must exist, by the name of their argument.
        Raises:
            TypeError, ValueError: not a DataFrame, an unknown column, a target among the texts, or no usable row.
        Warns:
            Rows without text or label: counted, and the first of them named.
        """
        cleaner = cleaning if isinstance(cleaning, Cleaner) or cleaning is None else Cleaner(cleaning)
        check_no_export(df)
        needed = {"label_col": target.label_col} | {name: column for name, column in others.items() if column}
        named = {argument: as_list(names) for argument, names in needed.items()}
        text_col = find_text_columns(df, text_col, [name for names in named.values() for name in names])
        check_frame(df, text_col=text_col, **named)
        check_not_in_texts(text_col, named["label_col"])
        texts, empty = read_texts(df, text_col, cleaner)
        values = pick(df, target.label_col)
        labeled = labeled_rows(values)
        kind = column_kind(values[labeled], target)
        _warn_of_skipped(empty, labeled, df.index, no_labels(values, target.delim) if kind.is_multilabel else "")
        mask = ~empty & labeled
        if not mask.any():
            raise ValueError(f"no row of df has both a text in {text_col} and a {target.label_col!r}")
        texts = [text for text, usable in zip(texts, mask, strict=True) if usable]
        column = read_target(values[mask], target, kind)
        taken = [*text_col, *skip, *(name for names in named.values() for name in names)]
        beside = _columns_beside(df[mask], columns, column, taken)
        return cls(df[mask], texts, column, mask, tokenizer, text_col, cleaner, beside)

    @property
    def beside(self) -> list[str]:
        """Names of the columns that are read beside the text."""
        if isinstance(self.columns, ColumnModel):
            return self.columns.names
        return [column.name for column in self.columns]

    @cached_property
    def _tokens(self) -> tuple[Packed, np.ndarray]:
        return self.tokenizer.pack(self.texts)

    @cached_property
    def _originals(self) -> list[str]:
        """The texts before cleaning."""
        return original_texts(self.df, self.text_col, self.texts, self.cleaner)

    def split(self, train: np.ndarray, held: np.ndarray) -> "Split":
        """Fit the target to the training rows, and separate training and validation rows.

        Args:
            train, held: masks of the training rows and the validation rows, bool, shape (n,).
        Warns:
            Validation labels that training never saw: counted, and the first of them named.
        """
        target, codes = self.column.fit(train)
        used = np.flatnonzero(train | held)
        unseen, message = unseen_labels(target, self.column.values.iloc[used])
        if unseen.any():
            what = "those labels are" if target.is_multilabel else "they are"
            place = "" if self.column.options.target else " of validation"
            warnings.warn(f"{message}; {what} left out{place}", stacklevel=4)
        if not target.is_multilabel:
            used = used[~unseen]
        ids, cut = self._tokens
        numbers = (used[train[used]], used[held[used]])
        model, offsets = self._offsets(target, codes, *numbers)
        training, validation = (
            Part([self.texts[i] for i in part], ids.take(part), codes[part], [self._originals[i] for i in part], added)
            for part, added in zip(numbers, offsets, strict=True)
        )
        return Split(self, target, training, validation, cut[numbers[0]], model)

    def _offsets(
        self, target: Target, codes: np.ndarray, train: np.ndarray, held: np.ndarray
    ) -> tuple[ColumnModel | None, tuple[np.ndarray | None, np.ndarray | None]]:
        """Fit the columns to the training rows; also return the offsets of training and validation rows."""
        if not isinstance(self.columns, ColumnModel) and not self.columns:
            return None, (None, None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells that cannot be read were counted when the columns were fitted
            if isinstance(self.columns, ColumnModel):
                model = self.columns
                offsets = model.offsets(self.df.iloc[train])
            else:
                model, offsets = fit_columns(self.df.iloc[train], self.columns, target, codes[train])
            return model, (offsets, model.offsets(self.df.iloc[held]))

    def part(self, numbers: np.ndarray) -> tuple[list[str], Packed]:
        """Return texts and token ids of some rows."""
        return [self.texts[i] for i in numbers], self._tokens[0].take(numbers)

    def subset(self, mask: np.ndarray) -> "TextRows":
        """Select rows, not yet tokenized.

        Args:
            mask: bool, shape (n,).
        """
        texts = [self.texts[i] for i in np.flatnonzero(mask)]
        column = replace(self.column, values=self.column.values[mask])
        return replace(self, df=self.df[mask], texts=texts, column=column)

    def renumbered(self) -> "TextRows":
        """Return the same rows, not yet tokenized, numbered from 0."""
        column = replace(self.column, values=self.column.values.reset_index(drop=True))
        return replace(self, df=self.df.reset_index(drop=True), column=column)


def _warn_of_skipped(empty: np.ndarray, labeled: np.ndarray, index: pd.Index, advice: str) -> None:
    """Warn of rows without a text or a label; `advice` tells how to write that none of several labels applies."""
    if empty.any():
        skipped = f"Skipped {plural(int(empty.sum()), 'row')} without a text"
        warnings.warn(f"{skipped}: {row_names(empty, index)}", stacklevel=5)
    if not labeled.all():
        skipped = f"Skipped {plural(int((~labeled).sum()), 'row')} without a label: {row_names(~labeled, index)}"
        hint = f". If none of the labels applies to them, {advice}" if advice else ""
        warnings.warn(skipped + hint, stacklevel=5)


def _columns_beside(
    df: pd.DataFrame, columns: ColumnNames | ColumnModel, target: TargetColumn, taken: Sequence[str]
) -> tuple[Column, ...] | ColumnModel:
    """Fit the columns to read beside the text to all rows, or check those of a model that is fitted already."""
    if isinstance(columns, ColumnModel):
        columns.check(df)
        return columns
    if not columns:
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the classes, which are fitted again to the training rows
        strata = target.strata if target.kind.is_number else target.fit()[1]
    return find_columns(df, columns, strata, taken, target.options.decimal, say)


class Part(NamedTuple):
    """The training or validation rows.

    Args:
        texts: their texts.
        ids: token ids of the texts.
        codes: codes of the targets.
        originals: the texts before cleaning.
        offsets: what other columns add to the logits, float32, shape (n, outputs); None without other columns.
    """

    texts: list[str]
    ids: Packed
    codes: np.ndarray
    originals: list[str]
    offsets: np.ndarray | None = None


class Split(NamedTuple):
    """Training and validation rows.

    Args:
        rows: all rows.
        target: target fitted to the training rows.
        train, valid: the training and the validation rows.
        truncated: whether each training text was truncated, bool.
        columns: the model of the columns beside the text, fitted to the training rows; None without such columns.
    """

    rows: TextRows
    target: Target
    train: Part
    valid: Part
    truncated: np.ndarray
    columns: ColumnModel | None = None
