"""DataFrame to DataLoaders: rows checked, split, tokenized once, targets encoded, batches bucketed by length."""

import warnings
from collections.abc import Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from fastai.data.block import TransformBlock
from fastai.data.core import DataLoaders, Datasets
from fastai.torch_core import default_device, set_seed
from transformers import PreTrainedTokenizerBase

from kickbert.data import display  # noqa: F401 - registers show_batch, show_results and others for Tokens
from kickbert.data.bucketing import BucketDL
from kickbert.data.imbalance import row_weights
from kickbert.data.packed import Packed
from kickbert.data.rows import Part, Split, TextRows
from kickbert.data.splits import valid_rows
from kickbert.data.transforms import TextTokenizer, model_tokenizer, target_tensor, target_transforms
from kickbert.tabular.column_model import ColumnModel, names_beside
from kickbert.tabular.columns import ColumnNames, Names
from kickbert.targets.base import Target
from kickbert.targets.binning import quantiles
from kickbert.targets.kinds import unseen_labels
from kickbert.targets.options import Format, TargetOptions
from kickbert.text.augmentation import Augmenter, augment_texts
from kickbert.text.cleaning import Cleaner
from kickbert.text.columns import as_list, check_frame, original_texts, pick, read_items
from kickbert.text.tokenization import SEP
from kickbert.utils.hub import choose_model
from kickbert.utils.messages import Described

FEW_ROWS = 1_600  # with up to so many training rows, batches are small, so that there are more steps
SMALL_BATCH = 16
BATCH = 32


class Row(NamedTuple):
    """An item of the datasets.

    Args:
        text: the text.
        target: the target in readable form; None if it is unknown.
        original: the text before cleaning, for display; None if it is the same.
        offsets: what other columns add to the logits, float32, shape (outputs,); None without other columns.
    """

    text: str
    target: Any = None
    original: str | None = None
    offsets: np.ndarray | None = None


def _text_of(row: Row) -> str:
    return row.text


def _target_of(row: Row) -> Any:
    return row.target


def TextBlock(  # noqa: N802 - fastai's blocks are named like classes
    model: str | Path | PreTrainedTokenizerBase | None = None, max_length: int | None = None
) -> TransformBlock:
    """A fastai block that reads strings as the tokens of a transformer, for use in any `DataBlock`.

    DataBlock(blocks=(kickbert.TextBlock("minilm"), CategoryBlock), get_x=ColReader("text"), get_y=ColReader("label"))
    """
    return TransformBlock(type_tfms=TextTokenizer(model, max_length), dl_type=BucketDL)


class TextDataLoaders(Described, DataLoaders):
    """Training and validation batches of texts; more rows are read in the same way.

    Args:
        train, valid: the loaders.
        text_col: the text columns.
        label_col: the target column, or columns of zeros and ones.
        target: how the target is encoded.
        cleaner: cleaning before tokenization; None for no cleaning.
        model: the model that the texts were tokenized for; None if unknown.
        in_order: whether the caller listed the classes in order.
        columns: the model of the columns beside the text; None without such columns.
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
        model: str | Path | None = None,
        in_order: bool = False,
        columns: ColumnModel | None = None,
        **kwargs: Any,
    ):
        super().__init__(train, valid, **kwargs)
        self.text_col = as_list(text_col)
        self.label_col = label_col
        self.target = target
        self.cleaner = cleaner
        self.model = model
        self.in_order = in_order
        self.columns = columns

    @classmethod
    def from_df(
        cls,
        df: pd.DataFrame,
        *,
        text_col: str | Sequence[str] = "text",
        label_col: str | Sequence[str] = "label",
        cat_names: Names = None,
        cont_names: Names = None,
        date_names: Names = None,
        model: str | Path | None = None,
        tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
        bins: int | Sequence[float] | None = None,
        bin_format: Format = None,
        label_delim: str | None = None,
        labels: Sequence[Any] | None = None,
        decimal: str | None = None,
        task: str | None = None,
        cleaning: str | Sequence | Cleaner | None = None,
        augment: Augmenter | None = None,
        valid: float | str | Sequence | None = 0.15,
        max_length: int | None = None,
        long: str = "truncate",
        stride: int = 32,
        bs: int | None = None,
        sampling: str | None = None,
        seed: int | None = 42,
        path: str | Path = ".",
    ) -> "TextDataLoaders":
        """Make DataLoaders from the texts and targets of a DataFrame; `text_learner` makes a learner from them.

        Args:
            df: the rows; never changed.
            text_col: the text column, or several, which are joined with the tokenizer's separator. If df has no column
                "text", the default is the only column that looks like text.
            label_col: the target; several columns of zeros and ones are one label each. A list of one column is that
                column.
            cat_names, cont_names, date_names: columns of categories, numbers and dates to read beside the text; "auto"
                for all columns of this kind that do not name rows or give the target away, which a line lists.
            model: the model that provides the tokenizer: hub id, folder written by `save_pretrained`, or "minilm",
                which needs no network. None for roberta-base, or for minilm if roberta-base is not in the cache and
                the hub cannot be reached.
            tokenizer: a fast tokenizer, or its hub id or folder; None for the model's own.
            revision: branch, tag or commit of the model on the hub.
            trust_remote_code: whether to run Python code that comes with the model.
            bins: for a numeric target: a number of quantile bins, computed on the training rows, or the inner edges.
            bin_format: format of the edges in class names: a unit such as "$", or a function from number to text.
            label_delim: delimiter between the labels of a cell, if a row may have several; not needed for lists.
            labels: the classes in order, or the names of the positions of a multi-hot list or of the bins; None for
                the classes in the column.
            decimal: decimal mark of numbers kept as text, "." or ","; None to detect it.
            task: "single label", "multi-label", "ordinal" or "regression"; None to detect it.
            cleaning: steps applied to each text in training and prediction: names, functions, a `Cleaner`, or "auto".
            augment: makes variants of the training texts, such as `kickbert.text.EDA()`.
            valid: share of the rows to validate on (stratified), a column, or row labels (`kickbert.split`); None for
                none.
            max_length: maximum tokens per row; None for the model's limit, at most 512.
            long: what to do with longer texts: "truncate" keeps the head, "tail" the tail, "head+tail" both; "windows"
                reads the whole text in chunks of `max_length` tokens, pooled to one prediction.
            stride: number of tokens that adjacent windows share.
            bs: batch size in training; validation uses twice as many rows. None for 16 with up to 1,600 training rows
                and 32 with more.
            sampling: "balanced" to draw each class equally often; None to read each row once per epoch.
            seed: makes splits, batches and augmentation reproducible; it sets the seeds of Python, NumPy and torch.
                None does not set them.
            path: folder of checkpoints, in a subfolder `models`.
        Raises:
            ValueError, TypeError: an invalid argument; the message says what is allowed.
        Warns:
            Rows that cannot be used (no text, no label, a validation label that training never saw), and texts that
            were truncated: counted, and the first of them named.
        """
        if seed is not None:
            set_seed(seed)  # the order of the batches
        hub = {"revision": revision or "main", "trust_remote_code": trust_remote_code}
        model = choose_model(model)
        reader = model_tokenizer(model, tokenizer, max_length=max_length, long=long, stride=stride, **hub)
        target = TargetOptions(label_col, bins, bin_format, label_delim, task, labels, decimal)
        columns = ColumnNames(cat_names, cont_names, date_names)
        skip = [valid] if isinstance(valid, str) else []
        rows = TextRows.from_df(df, reader, target, text_col=text_col, cleaning=cleaning, columns=columns, skip=skip)
        train, held = valid_rows(rows.df, valid, rows.column.strata, rows.texts, seed)
        used = train | held
        if not used.all():  # test rows
            rows, train, held = rows.subset(used), train[used], held[used]
        split = rows.split(train, held)
        return cls.from_split(split, model=model, augment=augment, bs=bs, sampling=sampling, seed=seed, path=path)

    @classmethod
    def from_split(
        cls,
        split: Split,
        *,
        model: str | Path | None = None,
        augment: Augmenter | None = None,
        bs: int | None = None,
        sampling: str | None = None,
        seed: int | None = 42,
        path: str | Path = ".",
    ) -> "TextDataLoaders":
        """Make DataLoaders from rows that are tokenized and split.

        Args:
            split: the training and validation rows.
            model, augment, bs, sampling, seed, path: as in `from_df`.
        """
        if augment is not None and not isinstance(augment, Augmenter):
            raise TypeError(f"augment={augment!r} is not an Augmenter; pass kickbert.text.EDA(), or your own subclass")
        rows, target, train, valid, cut, columns = split
        rng = np.random.default_rng(seed)
        if augment and not augment.each_epoch:
            train, cut_variants = _with_variants(train, rows.tokenizer, augment, rng)
            cut = np.concatenate([cut, cut_variants])
        _warn_of_truncated(cut, rows.tokenizer.max_length)
        loaders = bucket_loaders(rows.tokenizer, target, train, valid, bs)
        loaders[0].weights = row_weights(sampling, target, train.codes)
        if augment and augment.each_epoch:
            loaders[0].renew = partial(_varied, train.texts, augment, rng, rows.tokenizer)
        return cls(
            *loaders,
            text_col=rows.text_col,
            label_col=rows.column.options.label_col,
            target=target,
            cleaner=rows.cleaner,
            model=model,
            in_order=rows.column.options.labels is not None,
            columns=columns,
            path=Path(path).expanduser(),
            device=default_device(),
        )

    def facts(self) -> dict[str, str]:
        """Task, columns, rows, batches and next step, for `repr`."""
        names = ([*self.text_col, *names_beside(self.columns)], as_list(self.label_col))
        read, predicted = (" + ".join(map(str, part)) for part in names)
        size = f"{self.bs} rows in training, {self.valid.bs} in validation; at most {self.tokenizer.max_length} tokens"
        return {
            "task": self.target.describe(),
            "columns": f"{read} → {predicted}",
            "rows": self._counts() if len(self.train_ds) or len(self.valid_ds) else "none: loaded without its rows",
            "batches": size,
            "next": "show_batch()",
        }

    def _counts(self) -> str:
        return f"{len(self.train_ds):,} training, {len(self.valid_ds):,} validation"

    def new_empty(self) -> "TextDataLoaders":
        """A copy without rows, for an exported learner."""
        empty = copy(self)
        empty.loaders = [dl.new(dl.dataset.new_empty()) for dl in self.loaders]
        return empty

    @property
    def tokenizer(self) -> TextTokenizer:
        """The Transform that tokenizes texts."""
        return self.valid_ds.tls[0].tfms.fs[-1]

    def read(self, items: Any) -> tuple[list[str], np.ndarray]:
        """Read the texts of a DataFrame, or of a list of strings, tuples (one text per column) or dicts.

        Returns:
            n strings, and which rows have no text (bool, shape (n,)), as in `kickbert.text.columns.read_texts`.
        """
        return read_items(items, self.text_col, self.cleaner)

    def test_dl(
        self, test_items: Any, rm_type_tfms: Any = None, with_labels: bool = False, process: bool = True, **kwargs: Any
    ) -> BucketDL:
        """Make batches of more rows: a DataFrame, or a list of strings, tuples or dicts.

        Args:
            with_labels: whether a DataFrame holds the target too; training must have seen every label.
            rm_type_tfms, process: fastai's, not needed here.
        """
        if isinstance(test_items, Sequence) and test_items and isinstance(test_items[0], Row):
            rows, codes = list(test_items), None
            # fastai's Interpretation requests these rows again and expects them in its own order, in one batch.
            kwargs |= {"bs": len(rows), "get_idxs": lambda: list(range(len(rows)))}
            kwargs["offsets"] = _stacked([row.offsets for row in rows])
        else:
            codes = self._codes(test_items) if with_labels else None
            texts, _ = self.read(test_items)
            shown = [None] * len(texts) if codes is None else map(self.target.shown, codes)
            originals = original_texts(test_items, self.text_col, texts, self.cleaner)
            rows = [Row(*row) for row in zip(texts, shown, originals, strict=True)]
            kwargs["offsets"] = self._offsets(test_items)
        ids, _ = self.tokenizer.pack([row.text for row in rows])
        return self._loader(rows, ids, codes, with_labels, **kwargs)

    def _offsets(self, items: Any) -> torch.Tensor | None:
        """Compute what the columns beside the text add to the logits; None without such columns.

        Raises:
            ValueError: a column is missing.
        """
        return None if self.columns is None else torch.from_numpy(self.columns.offsets(items))

    def rows_dl(self, rows: TextRows, numbers: np.ndarray) -> BucketDL:
        """Make batches of some rows that were read before, without their targets."""
        texts, ids = rows.part(numbers)
        return self._loader([Row(text) for text in texts], ids, offsets=self._offsets(rows.df.iloc[numbers]))

    def _loader(
        self, rows: list[Row], ids: Packed, codes: np.ndarray | None = None, with_labels: bool = False, **kwargs: Any
    ) -> BucketDL:
        tls = [tl._new(rows, split_idx=1) for tl in self.valid_ds.tls[: 2 if with_labels else 1]]
        packed: tuple = (ids,)
        if with_labels:
            packed = (ids, torch.stack(list(tls[1])) if codes is None else target_tensor(self.target, codes))
        return self.valid.new(Datasets(tls=tls, n_inp=1), rows=packed, **kwargs)

    def _codes(self, df: pd.DataFrame) -> np.ndarray:
        """Encode the targets of more rows."""
        check_frame(df, label_col=as_list(self.label_col))
        values = pick(df, self.label_col)
        bad, message = unseen_labels(self.target, values)
        if bad.any():
            raise ValueError(f"{message}; leave them out")
        return self.target.encode(values)


def _stacked(offsets: list[np.ndarray | None]) -> torch.Tensor | None:
    """Stack the offsets of rows; None without other columns."""
    known = [row for row in offsets if row is not None]
    return torch.from_numpy(np.stack(known)) if known else None


def _with_variants(
    part: Part, tokenizer: TextTokenizer, augment: Augmenter, rng: np.random.Generator
) -> tuple[Part, np.ndarray]:
    """The rows followed by variants of them, and whether each variant was truncated."""
    variants = augment_texts(part.texts, augment, augment.variants, rng, SEP)
    added = [text for texts in variants for text in texts]
    ids, cut = tokenizer.pack(added)
    codes = np.concatenate([part.codes, np.repeat(part.codes, list(map(len, variants)), axis=0)])
    texts, originals = [*part.texts, *added], [*part.originals, *added]
    offsets = part.offsets
    if offsets is not None:
        offsets = np.concatenate([offsets, np.repeat(offsets, list(map(len, variants)), axis=0)])
    return Part(texts, part.ids + ids if added else part.ids, codes, originals, offsets), cut


def _varied(texts: list[str], augment: Augmenter, rng: np.random.Generator, tokenizer: TextTokenizer) -> Packed:
    """Tokenize the texts of an epoch; each is drawn from the original text and its variants."""
    chosen = np.flatnonzero(rng.random(len(texts)) < augment.variants / (augment.variants + 1))
    texts = list(texts)
    for i, variants in zip(chosen, augment_texts([texts[i] for i in chosen], augment, 1, rng, SEP), strict=True):
        texts[i] = variants[0] if variants else texts[i]
    return tokenizer.pack(texts)[0]


def _warn_of_truncated(cut: np.ndarray, max_length: int) -> None:
    if cut.any():
        warnings.warn(
            f"{cut.sum():,} of {len(cut):,} training texts ({cut.mean():.1%}) are longer than max_length={max_length} "
            "tokens and were truncated",
            stacklevel=5,
        )


def _items(part: Part, target: Target) -> list[Row]:
    """Make the items of the datasets from rows that are tokenized and encoded."""
    shown = map(target.shown, part.codes)
    offsets = [None] * len(part.texts) if part.offsets is None else part.offsets
    return [Row(*row) for row in zip(part.texts, shown, part.originals, offsets, strict=True)]


def bucket_loaders(
    tokenizer: TextTokenizer, target: Target, train: Part, valid: Part, bs: int | None
) -> list[BucketDL]:
    """Make the training and validation batches of rows that are tokenized and encoded."""
    bs = bs or (SMALL_BATCH if len(train.texts) <= FEW_ROWS else BATCH)
    items = [*_items(train, target), *_items(valid, target)]
    size = len(train.texts)
    datasets = Datasets(
        items,
        [[_text_of, tokenizer], [_target_of, *target_transforms(target)]],
        splits=[list(range(size)), list(range(size, len(items)))],
        n_inp=1,
        do_setup=False,  # it would tokenize the training rows again
        types=[Row],
    )
    rows = [(part.ids, target_tensor(target, part.codes)) for part in (train, valid)]
    offsets = [None if part.offsets is None else torch.from_numpy(part.offsets) for part in (train, valid)]
    return [
        BucketDL(datasets.subset(0), bs=bs, shuffle=True, rows=rows[0], offsets=offsets[0]),
        BucketDL(datasets.subset(1), bs=2 * bs, rows=rows[1], offsets=offsets[1]),
    ]


def soft_loaders(
    tokenizer: TextTokenizer,
    target: Target,
    df: pd.DataFrame,
    texts: list[str],
    codes: np.ndarray,
    further: Sequence[np.ndarray],
    *,
    valid: float | str | Sequence | None = 0.15,
    bs: int | None = None,
    seed: int | None = 42,
) -> list[BucketDL]:
    """Make training batches with additional targets, such as soft predictions, and validation batches without them.

    Args:
        df: the rows; `valid` selects the validation rows.
        texts, codes: texts and target codes of these rows.
        further: arrays with one entry per row, passed to the loss after the codes.
    """
    strata = quantiles(codes) if target.is_number else codes
    numbers = [np.flatnonzero(mask) for mask in valid_rows(df, valid, strata, texts, seed)]
    parts: list[Part] = []
    for rows in numbers:
        chosen = [texts[i] for i in rows]
        ids, cut = tokenizer.pack(chosen)
        if not parts:
            _warn_of_truncated(cut, tokenizer.max_length)
        parts.append(Part(chosen, ids, codes[rows], chosen))
    train, held = bucket_loaders(tokenizer, target, parts[0], parts[1], bs)
    return [train.new(further=tuple(torch.from_numpy(array[numbers[0]]) for array in further)), held]
