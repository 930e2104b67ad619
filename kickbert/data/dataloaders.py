"""DataFrame to DataLoaders: rows checked, split, tokenised once, targets encoded, batches bucketed by length."""

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from fastai.data.block import TransformBlock
from fastai.data.core import DataLoaders, Datasets
from transformers import PreTrainedTokenizerBase

from kickbert.data import display  # noqa: F401 - teaches fastai's show_batch, show_results and the rest about Tokens
from kickbert.data.bucketing import BucketDL
from kickbert.data.imbalance import row_weights
from kickbert.data.packed import Packed
from kickbert.data.rows import usable_rows
from kickbert.data.splits import valid_rows
from kickbert.data.transforms import TextTokenizer, target_tensor, target_transforms
from kickbert.targets.base import Target
from kickbert.targets.binning import quantiles
from kickbert.targets.kinds import unseen_labels
from kickbert.targets.options import TargetOptions
from kickbert.text.augmentation import Augmenter, augment_texts
from kickbert.text.cleaning import Cleaner
from kickbert.text.columns import TextOptions, as_list, check_frame, pick, read_items
from kickbert.text.tokenization import SEP
from kickbert.utils.messages import Described


class Row(NamedTuple):
    """What the datasets hold: a text, and its target as people read it, where it is known."""

    text: str
    target: Any = None


def _text_of(row: Row) -> str:
    return row.text


def _target_of(row: Row) -> Any:
    return row.target


def TextBlock(  # noqa: N802 - fastai's blocks are named like classes
    model: str | Path | PreTrainedTokenizerBase = "roberta-base", max_length: int | None = None
) -> TransformBlock:
    """A fastai block that reads strings as the tokens of a transformer, for use in any `DataBlock`.

    DataBlock(blocks=(kickbert.TextBlock("minilm"), CategoryBlock), get_x=ColReader("text"), get_y=ColReader("label"))
    """
    return TransformBlock(type_tfms=TextTokenizer(model, max_length), dl_type=BucketDL)


class TextDataLoaders(Described, DataLoaders):
    """Training and validation batches of texts, with what it takes to read further rows in the same way.

    Args:
        train, valid: the loaders.
        text_col: the columns that were read.
        label_col: the target's column, or columns of zeros and ones.
        target: how the target is encoded.
        cleaner: what is done to texts before they are tokenised; None for nothing.
    """

    def __init__(
        self,
        train: BucketDL,
        valid: BucketDL,
        *,
        text_col: Any,
        label_col: str | Sequence[str],
        target: Target,
        cleaner: Cleaner | None = None,
        **kwargs: Any,
    ):
        super().__init__(train, valid, **kwargs)
        self.text_col, self.label_col, self.target, self.cleaner = as_list(text_col), label_col, target, cleaner

    def facts(self) -> dict[str, str]:
        """Task, columns, rows, batches, next step: what `repr` shows."""
        read, predicted = (" + ".join(as_list(names)) for names in (self.text_col, self.label_col))
        size = f"{self.bs} rows in training, {self.valid.bs} in validation; at most {self.tokenizer.max_length} tokens"
        return {
            "task": self.target.describe(),
            "columns": f"{read} → {predicted}",
            "rows": f"{len(self.train_ds):,} training, {len(self.valid_ds):,} validation",
            "batches": size,
            "next": "show_batch()",
        }

    def new_empty(self) -> "TextDataLoaders":
        """The same without its rows, as an exported learner keeps it."""
        loaders = [dl.new(dl.dataset.new_empty()) for dl in self.loaders]
        kept = {name: getattr(self, name) for name in ("text_col", "label_col", "target", "cleaner", "path", "device")}
        return type(self)(*loaders, **kept)

    @property
    def tokenizer(self) -> TextTokenizer:
        """The Transform that tokenises."""
        return self.valid_ds.tls[0].tfms.fs[-1]

    def read(self, items: Any) -> tuple[list[str], np.ndarray]:
        """Texts of a DataFrame, or of a list of strings, tuples (a text for each column) or dicts.

        Returns:
            n strings, and which rows have no text (bool, shape (n,)), as `kickbert.text.columns.read_texts` says.
        """
        return read_items(items, self.text_col, self.cleaner)

    def test_dl(
        self, test_items: Any, rm_type_tfms: Any = None, with_labels: bool = False, process: bool = True, **kwargs
    ) -> BucketDL:
        """Batches of further rows: a DataFrame, or a list of strings, tuples or dicts.

        Args:
            with_labels: whether a DataFrame holds the target too; every label must then be one that training saw.
            rm_type_tfms, process: fastai's, not needed here.
        """
        if len(test_items) and isinstance(test_items[0] if isinstance(test_items, Sequence) else None, Row):
            rows, codes = list(test_items), None
            # fastai's Interpretation asks for chosen rows again and takes them to come as it named them, in one piece.
            kwargs |= {"bs": len(rows), "get_idxs": lambda: list(range(len(rows)))}
        else:
            codes = self._codes(test_items) if with_labels else None
            shown = map(self.target.shown, codes) if with_labels else [None] * len(test_items)
            rows = [Row(*pair) for pair in zip(self.read(test_items)[0], shown, strict=True)]
        packed = [Packed.of(*self.tokenizer.encode_documents([row.text for row in rows])[:2])]
        tls = [tl._new(rows, split_idx=1) for tl in self.valid_ds.tls[: 2 if with_labels else 1]]
        if with_labels:
            packed.append(torch.stack(list(tls[1])) if codes is None else target_tensor(self.target, codes))
        return self.valid.new(Datasets(tls=tls, n_inp=1), rows=tuple(packed), **kwargs)

    def _codes(self, df: pd.DataFrame) -> np.ndarray:
        """The targets of further rows."""
        check_frame(df, label_col=as_list(self.label_col))
        values = pick(df, self.label_col)
        bad, message = unseen_labels(self.target, values)
        if bad.any():
            raise ValueError(f"{message}; leave them out")
        return self.target.encode(values)


def dataloaders_from_df(
    df: pd.DataFrame,
    tokenizer: TextTokenizer,
    text: TextOptions,
    target: TargetOptions,
    *,
    valid: float | str | Sequence | None = 0.15,
    sampling: str | None = None,
    augment: Augmenter | None = None,
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
    if augment is not None and not isinstance(augment, Augmenter):
        raise TypeError(f"augment={augment!r} is no Augmenter; pass kickbert.text.EDA(), or one of your own")
    rows = usable_rows(df, text, target)
    train, held = valid_rows(rows.df, valid, rows.column.strata, seed)
    fitted, all_codes = rows.column.fit(train)
    known = _known(fitted, rows.column.values, "" if target.target else " of validation")
    parts = [np.flatnonzero(part & known) for part in (train, held)]
    codes = [all_codes[part] for part in parts]
    texts = [[rows.texts[i] for i in part] for part in parts]
    rng = np.random.default_rng(seed)
    if augment and not augment.each_epoch:
        texts[0], codes[0] = _with_variants(texts[0], codes[0], augment, rng)
    loaders = bucket_loaders(tokenizer, fitted, texts, codes, bs)
    loaders[0].weights = row_weights(sampling, fitted, codes[0])
    if augment and augment.each_epoch:
        loaders[0].renew = partial(_varied, texts[0], augment, rng, tokenizer)
    kept = {"text_col": text.text_col, "label_col": target.label_col, "target": fitted, "cleaner": text.cleaner}
    return TextDataLoaders(*loaders, **kept, path=path, device=device)


def _known(target: Target, values: pd.Series | pd.DataFrame, place: str) -> np.ndarray:
    """Which rows have only labels that training saw, bool, shape (n,); of several labels all stay, without the others.

    Args:
        place: of the rows that are left out, for the warning.
    """
    bad, message = unseen_labels(target, values)
    if bad.any():
        what = "those labels are" if target.is_multilabel else "they are"
        warnings.warn(f"{message}; {what} left out{place}", stacklevel=4)
    return np.ones(len(bad), dtype=bool) if target.is_multilabel else ~bad


def _with_variants(
    texts: list[str], codes: np.ndarray, augment: Augmenter, rng: np.random.Generator
) -> tuple[list[str], np.ndarray]:
    """Texts and their codes, with variants of them behind."""
    added = augment_texts(texts, augment, augment.variants, rng, SEP)
    codes = np.concatenate([codes, np.repeat(codes, list(map(len, added)), axis=0)])
    return [*texts, *(variant for variants in added for variant in variants)], codes


def _varied(texts: list[str], augment: Augmenter, rng: np.random.Generator, tokenizer: TextTokenizer) -> Packed:
    """The texts, some as they are and the others varied, as if drawn from each and its variants."""
    chosen = np.flatnonzero(rng.random(len(texts)) < augment.variants / (augment.variants + 1))
    texts = list(texts)
    for i, variants in zip(chosen, augment_texts([texts[i] for i in chosen], augment, 1, rng, SEP), strict=True):
        texts[i] = variants[0] if variants else texts[i]
    return Packed.of(*tokenizer.encode_documents(texts)[:2])


def bucket_loaders(
    tokenizer: TextTokenizer, target: Target, texts: list[list[str]], codes: list[np.ndarray], bs: int
) -> list[BucketDL]:
    """Training and validation batches of the texts and codes of both, texts as `read_texts` gives them.

    Warns:
        Training texts that were cut at `max_length`: counted.
    """
    items = [
        Row(t, target.shown(c)) for part, of in zip(texts, codes, strict=True) for t, c in zip(part, of, strict=True)
    ]
    datasets = Datasets(
        items,
        [[_text_of, tokenizer], [_target_of, *target_transforms(target)]],
        splits=[list(range(len(texts[0]))), list(range(len(texts[0]), len(items)))],
        n_inp=1,
        do_setup=False,  # it would tokenise the training rows once more
        types=[Row],
    )
    loaders = []
    for i, part in enumerate(texts):
        ids, first, cut = tokenizer.encode_documents(part)
        if i == 0 and cut.any():
            warnings.warn(
                f"{cut.sum():,} of {len(cut):,} training texts ({cut.mean():.1%}) are longer than "
                f"max_length={tokenizer.max_length} tokens and were cut",
                stacklevel=4,
            )
        rows = (Packed.of(ids, first), target_tensor(target, codes[i]))
        loaders.append(BucketDL(datasets.subset(i), bs=bs if i == 0 else 2 * bs, shuffle=i == 0, rows=rows))
    return loaders


def soft_loaders(
    tokenizer: TextTokenizer,
    target: Target,
    df: pd.DataFrame,
    texts: list[str],
    codes: np.ndarray,
    further: Sequence[np.ndarray],
    *,
    valid: float | str | Sequence | None = 0.15,
    bs: int = 32,
    seed: int | None = 42,
) -> list[BucketDL]:
    """Training batches with further targets beside the codes, such as soft predictions; validation batches of codes.

    Args:
        df: the rows, of which `valid` says which validate.
        texts, codes: of these rows.
        further: arrays whose first axis is the rows; a loss takes them after the codes.
    """
    strata = codes if not target.is_number else quantiles(codes)
    parts = [np.flatnonzero(mask) for mask in valid_rows(df, valid, strata, seed)]
    chosen = [[texts[i] for i in part] for part in parts]
    train, held = bucket_loaders(tokenizer, target, chosen, [codes[part] for part in parts], bs)
    return [train.new(further=tuple(torch.from_numpy(array[parts[0]]) for array in further)), held]
