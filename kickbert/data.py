"""DataFrame to DataLoaders: rows checked, split, tokenised once, targets encoded, batches bucketed by length."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from fastai.data.block import TransformBlock
from fastai.data.core import DataLoaders, Datasets
from fastai.data.transforms import Categorize
from fastai.torch_core import TensorCategory
from transformers import PreTrainedTokenizerBase

from kickbert import show  # noqa: F401 - teaches fastai's show_batch, show_results and plot_top_losses about Tokens
from kickbert.batches import BucketDL, Packed
from kickbert.frames import as_list, check_frame, named, read_texts
from kickbert.splits import strata_of, valid_rows
from kickbert.targets import Format, Target, fit_target, unknown_labels
from kickbert.tokenizer import TextTokenizer


class Row(NamedTuple):
    """What the datasets hold: a text, and the name of its class where it is known."""

    text: str
    target: str | None = None


def _text_of(row: Row) -> str:
    return row.text


def _target_of(row: Row) -> str:
    return row.target


def TextBlock(  # noqa: N802 - fastai's blocks are named like classes
    model: str | Path | PreTrainedTokenizerBase = "roberta-base", max_length: int | None = None
) -> TransformBlock:
    """A fastai block that reads strings as the tokens of a transformer, for use in any `DataBlock`.

    DataBlock(blocks=(kickbert.TextBlock("minilm"), CategoryBlock), get_x=ColReader("text"), get_y=ColReader("label"))
    """
    return TransformBlock(type_tfms=TextTokenizer(model, max_length), dl_type=BucketDL)


class TextDataLoaders(DataLoaders):
    """Training and validation batches of texts, with what it takes to read further rows in the same way.

    Args:
        train, valid: the loaders.
        text_col: the columns that were read.
        label_col: the target's column.
        target: how the target is encoded.
    """

    def __init__(self, train: BucketDL, valid: BucketDL, *, text_col: Any, label_col: str, target: Target, **kwargs):
        super().__init__(train, valid, **kwargs)
        self.text_col, self.label_col, self.target = as_list(text_col), label_col, target

    def new_empty(self) -> "TextDataLoaders":
        """The same without its rows, as an exported learner keeps it."""
        loaders = [dl.new(dl.dataset.new_empty()) for dl in self.loaders]
        kept = {"text_col": self.text_col, "label_col": self.label_col, "target": self.target}
        return type(self)(*loaders, **kept, path=self.path, device=self.device)

    @property
    def tokenizer(self) -> TextTokenizer:
        """The Transform that tokenises."""
        return self.valid_ds.tls[0].tfms.fs[-1]

    def read(self, items: Any) -> tuple[list[str], np.ndarray]:
        """Texts of a DataFrame, or of a list of strings, tuples (a text for each column) or dicts.

        Returns:
            n strings, and which rows have no text at all (bool, shape (n,)).
        """
        if isinstance(items, pd.DataFrame):
            check_frame(items, self.text_col, "text_col")
            return read_texts(items, self.text_col)
        rows = [self._cells(item) for item in items]
        return read_texts(pd.DataFrame(rows, columns=self.text_col, dtype=object), self.text_col)

    def _cells(self, item: Any) -> list:
        if isinstance(item, (Mapping, pd.Series)):
            lacking = [c for c in self.text_col if c not in item]
            if lacking:
                raise ValueError(f"the item has no {lacking[0]!r}; this learner reads {self.text_col}")
            return [item[c] for c in self.text_col]
        cells = [item] if isinstance(item, str) or not isinstance(item, Sequence) else list(item)
        if len(cells) > len(self.text_col):
            raise ValueError(
                f"the item has {len(cells)} texts; this learner reads {len(self.text_col)}: {self.text_col}"
            )
        return cells + [""] * (len(self.text_col) - len(cells))

    def test_dl(
        self, test_items: Any, rm_type_tfms: Any = None, with_labels: bool = False, process: bool = True, **kwargs
    ) -> BucketDL:
        """Batches of further rows: a DataFrame, or a list of strings, tuples or dicts.

        Args:
            with_labels: whether a DataFrame holds the target too; every label must then be one that training saw.
            rm_type_tfms, process: fastai's, not needed here.
        """
        if len(test_items) and isinstance(test_items[0] if isinstance(test_items, Sequence) else None, Row):
            rows = list(test_items)
            # fastai's Interpretation asks for chosen rows again and takes them to come as it named them, in one piece.
            kwargs |= {"bs": len(rows), "get_idxs": lambda: list(range(len(rows)))}
        elif with_labels:
            rows = self._labelled(test_items)
        else:
            rows = [Row(text) for text in self.read(test_items)[0]]
        packed = [Packed.of(self.tokenizer.encode_batch([row.text for row in rows])[0])]
        tls = [tl._new(rows, split_idx=1) for tl in self.valid_ds.tls[: 2 if with_labels else 1]]
        if with_labels:
            packed.append(TensorCategory(torch.tensor([self.target.names.index(row.target) for row in rows])))
        return self.valid.new(Datasets(tls=tls, n_inp=1), rows=tuple(packed), **kwargs)

    def _labelled(self, df: pd.DataFrame) -> list[Row]:
        check_frame(df, [self.label_col], "label_col")
        codes = self.target.encode(df[self.label_col])
        if unknown := unknown_labels(self.target, df[self.label_col], codes):
            raise ValueError(f"{unknown}; leave them out")
        return [Row(text, self.target.names[i]) for text, i in zip(self.read(df)[0], codes, strict=True)]


def dataloaders_from_df(
    df: pd.DataFrame,
    tokenizer: TextTokenizer,
    *,
    text_col: str | Sequence[str] = "text",
    label_col: str = "label",
    bins: int | Sequence[float] | None = None,
    bin_format: Format = None,
    valid: float | str | Sequence = 0.15,
    bs: int = 32,
    seed: int | None = 42,
    path: str | Path = ".",
    device: torch.device | None = None,
) -> TextDataLoaders:
    """DataLoaders of the rows of df; the arguments are those of `learner_from_df`.

    Warns:
        Rows that cannot be used (no text, no label, a validation label that training never saw), and rows that were
        cut at `max_length`: counted, and the first of them named.
    """
    columns = as_list(text_col)
    check_frame(df, columns, "text_col")
    check_frame(df, [label_col], "label_col")
    texts, empty = read_texts(df, columns)
    usable = ~empty & _drop("label", df[label_col].isna().to_numpy(), df.index)
    _drop("text", empty, df.index)
    if not usable.any():
        raise ValueError(f"no row of df has both a text in {columns} and a {label_col!r}")
    df, texts = df[usable], [t for t, keep in zip(texts, usable, strict=True) if keep]
    values = df[label_col]
    train, held = valid_rows(df, valid, strata_of(values, bins), seed)
    target = fit_target(values[train], bins, bin_format)
    codes = np.full(len(df), -1)
    codes[train | held] = target.encode(values[train | held])
    if unknown := unknown_labels(target, values[held], codes[held]):
        warnings.warn(f"{unknown}; they are left out of validation", stacklevel=3)
        held = held & (codes >= 0)
    loaders = _loaders(tokenizer, target, texts, codes, [np.flatnonzero(train), np.flatnonzero(held)], bs)
    return TextDataLoaders(*loaders, text_col=columns, label_col=label_col, target=target, path=path, device=device)


def _drop(what: str, bad: np.ndarray, index: pd.Index) -> np.ndarray:
    """Warn of the bad rows; return the mask of the others."""
    if bad.any():
        warnings.warn(f"{bad.sum():,} rows have no {what} and are not used: rows {named(bad, index)}", stacklevel=4)
    return ~bad


def _loaders(
    tokenizer: TextTokenizer, target: Target, texts: list[str], codes: np.ndarray, parts: list[np.ndarray], bs: int
) -> list[BucketDL]:
    names = [*target.names, None]  # code -1: a row of neither part, which no loader holds
    items = [Row(text, names[code]) for text, code in zip(texts, codes, strict=True)]
    category = Categorize(vocab=target.names, sort=False)
    category.setups(None)  # fastai sets the number of classes there
    datasets = Datasets(
        items,
        [[_text_of, tokenizer], [_target_of, category]],
        splits=[part.tolist() for part in parts],
        n_inp=1,
        do_setup=False,  # it would tokenise the training rows once more
        types=[Row],
    )
    loaders = []
    for i, part in enumerate(parts):
        ids, cut = tokenizer.encode_batch([texts[j] for j in part])
        if i == 0 and cut.any():
            warnings.warn(
                f"{cut.sum():,} of {len(cut):,} training texts ({cut.mean():.1%}) are longer than "
                f"max_length={tokenizer.max_length} tokens and were cut",
                stacklevel=4,
            )
        rows = (Packed.of(ids), TensorCategory(torch.from_numpy(codes[part])))
        loaders.append(BucketDL(datasets.subset(i), bs=bs if i == 0 else 2 * bs, shuffle=i == 0, rows=rows))
    return loaders
