"""Rows packed without padding, and a DataLoader that gathers length-bucketed batches from them."""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch
from fastai.data.core import TfmdDL
from fastai.data.transforms import ToTensor
from fastai.torch_core import TitledStr
from fasttransform import Pipeline, Transform
from fasttransform.cast import explode_types
from torch import Tensor
from torch.nn.functional import pad

from kickbert.data.transforms import Tokens
from kickbert.text.tokenization import PAD, SEP
from kickbert.utils.batching import bucketed

UNUSED = ("before_batch", "before_iter", "create_batch", "do_batch", "retain", "shuffle_fn")  # of fastai's DataLoader


@dataclass(frozen=True, eq=False)
class Packed:
    """Sequences of different lengths in one array.

    Args:
        flat: the concatenated sequences, shape (total, ...).
        offsets: of the start of each sequence in `flat`, and of the end, int64, shape (rows + 1,).
        first: for documents in windows, the number of each document's first sequence, and the end, shape
            (documents + 1,); None where each sequence is a document.
    """

    flat: Tensor
    offsets: Tensor
    first: np.ndarray | None = None

    @classmethod
    def of(cls, sequences: Sequence[np.ndarray], first: np.ndarray | None = None) -> "Packed":
        """Pack arrays of shape (length, ...)."""
        lengths = [len(s) for s in sequences]
        flat = np.concatenate(sequences) if sequences else np.zeros(0, dtype=np.int32)
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        return cls(torch.from_numpy(flat), torch.from_numpy(offsets), first)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Length of each sequence, int64, shape (rows,)."""
        return np.diff(self.offsets.numpy())

    @cached_property
    def sizes(self) -> np.ndarray:
        """Tokens of each document, int64, shape (documents,)."""
        return self.lengths if self.first is None else np.diff(self.offsets.numpy()[self.first])

    def of_documents(self, documents: Sequence[int]) -> Sequence[int]:
        """The sequences of the given documents, one document after another."""
        if self.first is None:
            return documents
        return [row for d in documents for row in range(self.first[d], self.first[d + 1])]

    def take(self, documents: Sequence[int]) -> "Packed":
        """The given documents alone, in that order."""
        first = None if self.first is None else np.cumsum([0, *np.diff(self.first)[documents]])
        return Packed.of([self.row(i) for i in self.of_documents(documents)], first)

    @cached_property
    def keys(self) -> list[bytes]:
        """A hash of each sequence's content, 16 bytes."""
        return [hashlib.blake2b(self.row(i), digest_size=16).digest() for i in range(len(self))]

    def row(self, i: int) -> np.ndarray:
        """One sequence, shape (length, ...)."""
        return self.flat[self.offsets[i] : self.offsets[i + 1]].numpy()

    def gather(self, rows: Sequence[int], fill: float = 0) -> Tensor:
        """A padded batch of rows, shape (len(rows), longest, ...), with `fill` for padding."""
        rows = torch.as_tensor(rows, dtype=torch.long)
        start = self.offsets[rows]
        length = self.offsets[rows + 1] - start
        position = torch.arange(int(length.max()) if len(rows) else 0)
        valid = position < length[:, None]
        out = self.flat[(start[:, None] + position).masked_fill_(~valid, 0)]
        out[~valid] = fill
        return out


def by_document(windows: Tensor, counts: np.ndarray) -> Tensor:
    """Windows grouped by document and padded with windows of `PAD`.

    Args:
        windows: shape (sum of counts, tokens).
        counts: how many each document has.
    Returns:
        Shape (documents, most windows, tokens).
    """
    out = windows.new_full((len(counts), int(counts.max()), windows.shape[1]), PAD)
    out[torch.from_numpy(np.arange(counts.max()) < counts[:, None])] = windows
    return out


def _pack(items: Sequence, parts: int = 1) -> tuple:
    """The items of a fastai dataset, `Tokens` and targets, as `Packed` token ids and a tensor for each target.

    Args:
        parts: of an item, in case there is none.
    """
    if not items:
        return (Packed.of([]), *(torch.zeros(0) for _ in range(parts - 1)))
    columns = list(zip(*(item if isinstance(item, tuple) else (item,) for item in items), strict=True))
    ids = Packed.of([np.asarray(x, dtype=np.int32) for x in columns[0]])
    return (ids, *(type(c[0])(torch.stack(list(c))) for c in columns[1:]))


class BucketDL(TfmdDL):
    """A fastai DataLoader of `Tokens` whose batches hold rows of nearly the same length.

    The dataset is read once, through its own transforms, and packed; batches are gathered from the packed rows. What
    `after_item` (fastai's `item_tfms`) does to rows is done anew in each epoch, `after_batch` to each batch. Without
    `shuffle` rows come longest first, and `get_preds` puts them back in order.

    Attributes:
        batch_rows: row numbers of the batch last given out.
        batch_ids: its token ids as they were gathered, before `after_batch`.
        batch_items: numbers of its items; of documents in windows each has several rows.

    Args:
        dataset: fastai `Datasets` whose first element is `Tokens`; further ones must be of one shape.
        rows: the rows, if they are packed already: `Packed` token ids, then a tensor for each target.
        weights: how likely each row is to be drawn, shape (n,), of sum 1: with `shuffle` an epoch then is n draws with
            replacement; None for each row once.
        renew: gives the token ids of an epoch, `Packed`, if they change from epoch to epoch.
        further: what a loss is given beside the targets while it trains, such as soft predictions: tensors with a row
            for each item. Without `shuffle` batches have the targets alone.
        kwargs: as for fastai's `TfmdDL`.
    Raises:
        ValueError: one of fastai's hooks that packed rows have no use for, or `item_tfms` of documents in windows.
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
        **kwargs: Any,
    ):
        kwargs["num_workers"] = 0  # gathering is cheaper than sending a batch from another process
        super().__init__(dataset, bs=bs, shuffle=shuffle, **kwargs)
        self._rows, self._epoch_rows, self.weights, self.renew = rows, None, weights, renew
        self.batch_rows = self.batch_ids = self.batch_items = None
        self.further = further
        self._check_hooks()

    def _check_hooks(self) -> None:
        unused = [name for name in UNUSED if Pipeline(vars(self).get(name)).fs]
        if unused:
            raise ValueError(
                f"{unused[0]}= is never called, for batches are gathered from packed rows; use item_tfms (after_item) "
                "to change single rows or batch_tfms (after_batch) to change batches"
            )
        if self.item_tfms and self._rows is not None and self._rows[0].first is not None:
            raise ValueError(
                f"item_tfms={self.item_tfms} change single rows, and these are documents in windows; use batch_tfms or "
                "another long= than 'windows'"
            )

    @property
    def rows(self) -> tuple:
        """`Packed` token ids, then one tensor for each target, with a row for each item."""
        if self._rows is None:
            parts = len(getattr(self.dataset, "tls", [()]))
            self._rows = _pack([self.create_item(i) for i in range(len(self.dataset))], parts)
        return self._rows

    @property
    def item_tfms(self) -> list[Transform]:
        """The transforms of `after_item` that fastai would call on rows of this split."""
        splits = (None, getattr(self.dataset, "split_idx", None))
        return [f for f in self.after_item.fs if type(f) is not ToTensor and f.split_idx in splits]

    @property
    def varies(self) -> bool:
        """Whether the token ids may change from epoch to epoch."""
        return self.renew is not None or bool(self.item_tfms)

    def new(self, dataset: Any = None, cls: type | None = None, **kwargs) -> "BucketDL":
        """A copy with other arguments; the packed rows go along while the dataset stays the same."""
        if dataset is None:
            own = {"rows": self.rows, "weights": self.weights, "renew": self.renew, "further": self.further}
            kwargs = own | kwargs
        return super().new(dataset, cls, **kwargs)

    def some_rows(self, count: int, seed: int | None) -> "BucketDL":
        """A DataLoader of `count` rows drawn at random; itself where it has no more, or where its rows vary."""
        ids, *targets = self.rows
        if count >= len(ids.sizes) or self.varies:
            return self
        drawn = np.sort(np.random.default_rng(seed).permutation(len(ids.sizes))[:count])
        rows, further = (ids.take(drawn), *(t[drawn] for t in targets)), tuple(t[drawn] for t in self.further)
        weights = None if self.weights is None else self.weights[drawn] / self.weights[drawn].sum()
        made = self.new(rows=rows, further=further, weights=weights, n=count)
        made.rng = self.rng  # the order of the batches goes on where this one's is
        return made

    def _one_pass(self) -> None:
        if len(self.dataset):
            return super()._one_pass()
        batch = (Tokens(torch.zeros(1, 0, dtype=torch.long)), *self.rows[1:])
        self._n_inp, self._types = 1, explode_types(batch)  # without rows fastai has no batch to look at

    def before_iter(self) -> None:
        super().before_iter()
        self._check_hooks()  # once more, as `add_tfms` adds to the pipelines
        self._epoch_rows = (self.renew(), *self.rows[1:]) if self.renew else None
        if self.item_tfms:
            ids, *targets = self.epoch_rows
            items = [(Tokens(torch.from_numpy(ids.row(i)).long()), *(t[i] for t in targets)) for i in range(len(ids))]
            self._epoch_rows = _pack([self.after_item(item) for item in items])

    @property
    def epoch_rows(self) -> tuple:
        """`rows` as they are in this epoch."""
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
        """The batch of the chosen rows: `Tokens` of shape (len(chosen), longest), then the targets.

        Of documents with windows the tokens are of shape (len(chosen), most windows, longest).
        """
        ids, *targets = (*self.epoch_rows, *(self.further if self.shuffle else ()))
        self.batch_rows, self.batch_items = ids.of_documents(chosen), chosen
        x = ids.gather(self.batch_rows, fill=PAD).long()
        if ids.first is not None:
            x = by_document(x, ids.first[np.add(chosen, 1)] - ids.first[chosen])
        self.batch_ids = x
        return (Tokens(x.clone()), *(t[chosen] for t in targets))  # a clone: transforms may write into a batch

    def create_batch(self, b: Sequence) -> tuple:
        """A batch of items, which fastai's `DataBlock.summary` puts together itself."""
        items = [item if isinstance(item, tuple) else (item,) for item in b]
        longest = max(len(x) for x, *_ in items)
        return super().create_batch([(pad(x, (0, longest - len(x)), value=PAD), *rest) for x, *rest in items])

    def _decode_batch(self, b: tuple, max_n: int = 9, full: bool = True) -> Any:
        samples = super()._decode_batch(b[: len(self.rows)], max_n, full)  # what people are shown
        if self.varies or self.batch_ids is None or not torch.equal(b[0].as_subclass(Tensor).cpu(), self.batch_ids):
            return samples  # of token ids that no row has as its text
        texts = map(self._own_text, self.batch_items)
        return samples.zipwith(texts).map(lambda pair: (TitledStr(pair[1]), *pair[0][1:]))

    def _own_text(self, i: int) -> str:
        """The text of a row as it stood before it was tokenised: in its own letters, and not cut."""
        texts = self.dataset.tls[0]
        return Pipeline(texts.tfms.fs[:-1])(texts._get(int(i))).replace(SEP, " | ")

    def seed(self, seed: int) -> None:
        """Start the order of the batches anew, so that it depends on `seed` alone."""
        self.rng = random.Random(seed)
