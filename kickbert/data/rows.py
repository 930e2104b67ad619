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
from kickbert.targets.base import Target
from kickbert.targets.fitting import TargetColumn, column_kind, read_target
from kickbert.targets.kinds import unseen_labels
from kickbert.targets.label_cells import labeled_rows, no_labels
from kickbert.targets.options import TargetOptions
from kickbert.text.cleaning import Cleaner
from kickbert.text.columns import as_list, check_frame, check_not_in_texts, original_texts, pick, read_texts
from kickbert.text.text_columns import find_text_columns
from kickbert.utils.messages import plural, row_names


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
    """

    df: pd.DataFrame
    texts: list[str]
    column: TargetColumn
    mask: np.ndarray
    tokenizer: TextTokenizer
    text_col: list[str]
    cleaner: Cleaner | None = None

    @classmethod
    def from_df(
        cls,
        df: pd.DataFrame,
        tokenizer: TextTokenizer,
        target: TargetOptions,
        *,
        text_col: str | Sequence[str] = "text",
        cleaning: str | Sequence | Cleaner | None = None,
        **columns: str | Sequence[str] | None,
    ) -> "TextRows":
        """Read the rows with a text and a label.

        Args:
            df: the rows; not changed.
            tokenizer: reads the texts.
            target: options for reading the target column.
            text_col, cleaning: as in `TextDataLoaders.from_df`.
            columns: other columns that must exist, by the name of their argument.
        Raises:
            TypeError, ValueError: not a DataFrame, an unknown column, a target among the texts, or no usable row.
        Warns:
            Rows without text or label: counted, and the first of them named.
        """
        cleaner = cleaning if isinstance(cleaning, Cleaner) or cleaning is None else Cleaner(cleaning)
        check_no_export(df)
        others = {"label_col": target.label_col} | {name: column for name, column in columns.items() if column}
        named = {argument: as_list(names) for argument, names in others.items()}
        text_col = find_text_columns(df, text_col, [name for names in named.values() for name in names])
        check_frame(df, text_col=text_col, **named)
        check_not_in_texts(text_col, named["label_col"])
        texts, empty = read_texts(df, text_col, cleaner)
        values = pick(df, target.label_col)
        if empty.any():
            skipped = f"Skipped {plural(int(empty.sum()), 'row')} without a text"
            warnings.warn(f"{skipped}: {row_names(empty, df.index)}", stacklevel=4)
        labeled = labeled_rows(values)
        kind = column_kind(values[labeled], target)
        mask = ~empty & labeled
        if not labeled.all():
            skipped = f"Skipped {plural(int((~labeled).sum()), 'row')} without a label: {row_names(~labeled, df.index)}"
            hint = (
                f". If none of the labels applies to them, {no_labels(values, target.delim)}"
                if kind.is_multilabel
                else ""
            )
            warnings.warn(skipped + hint, stacklevel=4)
        if not mask.any():
            raise ValueError(f"no row of df has both a text in {text_col} and a {target.label_col!r}")
        texts = [text for text, usable in zip(texts, mask, strict=True) if usable]
        column = read_target(values[mask], target, kind)
        return cls(df[mask], texts, column, mask, tokenizer, text_col, cleaner)

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
        training, validation = (
            Part([self.texts[i] for i in part], ids.take(part), codes[part], [self._originals[i] for i in part])
            for part in numbers
        )
        return Split(self, target, training, validation, cut[numbers[0]])

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


class Part(NamedTuple):
    """The training or validation rows: texts, their token ids, the codes of their targets, the texts as they were."""

    texts: list[str]
    ids: Packed
    codes: np.ndarray
    originals: list[str]  # before cleaning


class Split(NamedTuple):
    """Training and validation rows.

    Args:
        rows: all rows.
        target: target fitted to the training rows.
        train, valid: the training and the validation rows.
        truncated: whether each training text was truncated, bool.
    """

    rows: TextRows
    target: Target
    train: Part
    valid: Part
    truncated: np.ndarray
