"""A fastai DataLoader that gathers batches from packed rows; the rows of a batch have nearly the same length."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from fastai.data.core import TfmdDL
from fastai.data.transforms import ToTensor
from fastai.torch_core import TitledStr
from fastcore.foundation import L
from fasttransform import Pipeline, Transform
from fasttransform.cast import explode_types
from torch import Tensor
from torch.nn.functional import pad

from kickbert.data.batching import bucketed
from kickbert.data.packed import Packed, by_document, document_key
from kickbert.data.transforms import Tokens
from kickbert.text.tokenization import PAD, SEP

UNUSED = ("before_batch", "before_iter", "create_batch", "do_batch", "retain", "shuffle_fn")  # of fastai's DataLoader


def _pack(items: Sequence, parts: int = 1) -> tuple:
    """Pack the items of a fastai dataset, `Tokens` and targets: `Packed` token ids and one tensor per target.

    Args:
        parts: number of parts of an item, in case there are no items.
    """
    if not items:
        return (Packed.of([]), *(torch.zeros(0) for _ in range(parts - 1)))
    columns = list(zip(*(item if isinstance(item, tuple) else (item,) for item in items), strict=True))
    ids = Packed.of([np.asarray(x, dtype=np.int32) for x in columns[0]])
    return (ids, *(type(c[0])(torch.stack(list(c))) for c in columns[1:]))


class BucketDL(TfmdDL):
    """A fastai DataLoader of `Tokens`; the rows of a batch have nearly the same length.

    The dataset is read once, through its own transforms, and packed; batches are gathered from the packed rows.
    `after_item` (fastai's `item_tfms`) runs on the rows in each epoch, `after_batch` on each batch. Without `shuffle`
    the longest rows come first, and `get_preds` restores the order.

    Attributes:
        batch_rows: row numbers of the last batch.
        batch_ids: its token ids before `after_batch`.
        batch_items: its item numbers; a document in windows is one item with several rows.

    Args:
        dataset: fastai `Datasets` with `Tokens` as the first element; other elements must have a fixed shape.
        rows: rows that are already packed: `Packed` token ids, then one tensor per target.
        weights: sampling probability of each row, shape (n,): with `shuffle`, an epoch is n draws with replacement;
            None to read each row once.
        renew: returns the `Packed` token ids of an epoch, if they change from epoch to epoch.
        further: tensors with one row per item that a training loss needs besides the targets, such as soft predictions.
            They are part of a batch only with `shuffle`.
        offsets: what is added to the logits of each item, float32, shape (n, outputs); None for nothing.
        kwargs: passed to fastai's `TfmdDL`.
    Raises:
        ValueError: a fastai hook that packed rows never call, or `item_tfms` with documents in windows.
    """

    def __init__(
        self,
        dataset: Any = None,
        bs: int = 64,
        shuffle: bool = False,
        rows: tuple | None = None,
        weights: np.ndarray | None = None,
        renew: Callable[[], Packed] | None = None,
        further: tuple[Tensor, ...] = (),
        offsets: Tensor | None = None,
        **kwargs: Any,
    ):
        kwargs["num_workers"] = 0  # gathering is cheaper than sending a batch from another process
        super().__init__(dataset, bs=bs, shuffle=shuffle, **kwargs)
        self._rows = rows
        self._epoch_rows: tuple | None = None
        self.weights = weights
        self.renew = renew
        self.further = further
        self.offsets = offsets
        self.batch_rows: Sequence[int] = ()
        self.batch_ids: Tensor | None = None
        self.batch_items: Sequence[int] = ()
        self._check_hooks()

    def _check_hooks(self) -> None:
        unused = [name for name in UNUSED if Pipeline(vars(self).get(name)).fs]
        if unused:
            raise ValueError(
                f"{unused[0]}= is never called, because batches are gathered from packed rows. Use item_tfms "
                "(after_item) to change single rows or batch_tfms (after_batch) to change batches."
            )
        if self.item_tfms and self._rows is not None and self._rows[0].first is not None:
            raise ValueError(
                f"item_tfms={self.item_tfms} change single rows, but these are documents in windows. Use batch_tfms, "
                "or a value of long= other than 'windows'."
            )

    @property
    def rows(self) -> tuple:
        """`Packed` token ids, then one tensor per target, with one row per item."""
        if self._rows is None:
            parts = len(getattr(self.dataset, "tls", [()]))
            self._rows = _pack([self.create_item(i) for i in range(len(self.dataset))], parts)
        return self._rows

    @property
    def item_tfms(self) -> list[Transform]:
        """The transforms of `after_item` that fastai would call for this split."""
        splits = (None, getattr(self.dataset, "split_idx", None))
        return [f for f in self.after_item.fs if type(f) is not ToTensor and f.split_idx in splits]

    @property
    def varies(self) -> bool:
        """Whether the token ids may change from epoch to epoch."""
        return self.renew is not None or bool(self.item_tfms)

    def new(self, dataset: Any = None, cls: type | None = None, **kwargs) -> "BucketDL":
        """A copy with other arguments; it keeps the packed rows unless the dataset changes."""
        if dataset is None:
            names = ("rows", "weights", "renew", "further", "offsets")
            kwargs = {name: getattr(self, name) for name in names} | kwargs
        return super().new(dataset, cls, **kwargs)

    def some_rows(self, count: int, seed: int | None) -> "BucketDL":
        """Return a DataLoader of `count` random rows; itself if it has no more rows, or if its rows vary."""
        ids, *targets = self.rows
        if count >= len(ids.sizes) or self.varies:
            return self
        drawn = np.sort(np.random.default_rng(seed).permutation(len(ids.sizes))[:count])
        rows = (ids.take(drawn), *(t[drawn] for t in targets))
        further = tuple(t[drawn] for t in self.further)
        weights = None if self.weights is None else self.weights[drawn] / self.weights[drawn].sum()
        offsets = None if self.offsets is None else self.offsets[drawn]
        made = self.new(rows=rows, further=further, weights=weights, offsets=offsets, n=count)
        made.rng = self.rng  # the order of batches continues this one's
        return made

    def _one_pass(self) -> None:
        if len(self.dataset):
            return super()._one_pass()
        batch = (Tokens(torch.zeros(1, 0, dtype=torch.long)), *self.rows[1:])
        self._n_inp = 1
        self._types = explode_types(batch)  # without rows, fastai has no batch to inspect

    def before_iter(self) -> None:
        super().before_iter()
        self._check_hooks()  # again, because `add_tfms` adds to the pipelines
        self._epoch_rows = (self.renew(), *self.rows[1:]) if self.renew else None
        if self.item_tfms:
            ids, *targets = self.epoch_rows
            items = [(Tokens(torch.from_numpy(ids.row(i)).long()), *(t[i] for t in targets)) for i in range(len(ids))]
            self._epoch_rows = _pack([self.after_item(item) for item in items])

    @property
    def epoch_rows(self) -> tuple:
        """Return the `rows` of this epoch."""
        return self.rows if self._epoch_rows is None else self._epoch_rows

    @property
    def ids(self) -> Packed:
        """The token ids of this epoch."""
        return self.epoch_rows[0]

    def get_idxs(self) -> list[int]:
        lengths = self.ids.sizes
        if self.shuffle:
            rng = np.random.default_rng(self.rng.getrandbits(64))
            if self.weights is None:
                return bucketed(lengths, self.bs, rng).tolist()
            drawn = rng.choice(len(lengths), len(lengths), p=self.weights)
            return drawn[bucketed(lengths[drawn], self.bs, rng)].tolist()
        return np.argsort(-lengths, kind="stable").tolist()

    def create_batches(self, samps: Iterable[int]) -> Iterator[tuple]:
        samps = iter(samps)
        while chosen := list(islice(samps, self.bs)):
            if self.drop_last and len(chosen) < self.bs:
                return
            yield self.gather(chosen)

    def gather(self, chosen: Sequence[int]) -> tuple:
        """Make a batch of rows: `Tokens` of shape (len(chosen), longest), then the targets.

        Documents in windows give tokens of shape (len(chosen), maximum windows, longest).
        """
        ids, *targets = self.epoch_rows
        if self.shuffle:
            targets += self.further
        self.batch_rows = ids.of_documents(chosen)
        self.batch_items = chosen
        x = ids.gather(self.batch_rows, fill=PAD).long()
        if ids.first is not None:
            x = by_document(x, ids.first[np.add(chosen, 1)] - ids.first[chosen])
        self.batch_ids = x
        return (Tokens(x.clone()), *(t[chosen] for t in targets))  # transforms may change the batch in place

    def create_batch(self, b: Sequence) -> tuple:
        """Collate a batch of items for fastai's `DataBlock.summary`."""
        items = [item if isinstance(item, tuple) else (item,) for item in b]
        longest = max(len(x) for x, *_ in items)
        return super().create_batch([(pad(x, (0, longest - len(x)), value=PAD), *rest) for x, *rest in items])

    def _decode_batch(self, b: tuple, max_n: int = 9, full: bool = True) -> Any:
        samples = super()._decode_batch(b[: len(self.rows)], max_n, full)  # for display
        texts = self._own_texts(b[0][: len(samples)])
        pairs = [(s[0] if text is None else TitledStr(text), *s[1:]) for s, text in zip(samples, texts, strict=True)]
        return L(pairs)

    def _own_texts(self, tokens: Tensor) -> list[str | None]:
        """Return the original texts of a batch: before cleaning, tokenization and truncation.

        A row is None if no text or several texts of this dataset have its tokens: those of a variant, for example.
        """
        read, ids = self.batch_ids, tokens.as_subclass(Tensor).cpu()
        if not self.varies and read is not None and len(ids) <= len(read) and torch.equal(ids, read[: len(ids)]):
            return [self._own_text(i) for i in self.batch_items[: len(ids)]]
        items: dict[tuple[bytes, ...], list[int]] = {}
        for i, key in enumerate(self.rows[0].document_keys):
            items.setdefault(key, []).append(i)
        found = [{self._own_text(i) for i in items.get(document_key(row), [])} for row in ids]
        return [texts.pop() if len(texts) == 1 else None for texts in found]

    def _own_text(self, i: int) -> str:
        """Return the original text of a row."""
        texts = self.dataset.tls[0]
        item = texts._get(int(i))
        text = getattr(item, "original", None)  # of a `Row`, if cleaning changed it
        return (Pipeline(texts.tfms.fs[:-1])(item) if text is None else text).replace(SEP, " | ")

    def one_batch(self) -> tuple:
        """fastai's `one_batch`.

        Raises:
            ValueError: there are no rows.
        """
        if not len(self.dataset):
            raise ValueError(
                "there are no rows here; export leaves them out of a learner, too. Make batches of a DataFrame with "
                "dls.test_dl(df, with_labels=True)"
            )
        return super().one_batch()

    def show_results(self, b: tuple, out: Any, max_n: int = 9, **kwargs: Any) -> Any:
        """fastai's `show_results`.

        Raises:
            ValueError: the rows have no targets.
        """
        if len(self.rows) == 1:
            raise ValueError(
                "these rows have no targets to compare predictions with. Use test_dl(df, with_labels=True), or "
                "learn.predict_df(df) for predictions alone"
            )
        return super().show_results(b, out, max_n, **kwargs)

    def seed(self, seed: int) -> None:
        """Reset the random order of the batches, so that it depends only on `seed`."""
        self.rng = random.Random(seed)
