"""Rows packed without padding, and a DataLoader that gathers length-bucketed batches from them."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch
from fastai.data.core import TfmdDL
from torch import Tensor

from kickbert.tokenizer import PAD, Tokens

NOISE = 0.05  # lengths are blurred by 5 % before sorting, so that batches differ from epoch to epoch


@dataclass(frozen=True, eq=False)
class Packed:
    """Sequences of different lengths in one array.

    Args:
        flat: all sequences one after another, shape (total, ...).
        offsets: where each begins, and the end, int64, shape (rows + 1,).
    """

    flat: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, sequences: Sequence[np.ndarray]) -> "Packed":
        """Pack arrays of shape (length, ...)."""
        lengths = [len(s) for s in sequences]
        flat = np.concatenate(sequences) if sequences else np.zeros(0, dtype=np.int32)
        return cls(torch.from_numpy(flat), torch.from_numpy(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Length of each sequence, int64, shape (rows,)."""
        return np.diff(self.offsets.numpy())

    @cached_property
    def keys(self) -> list[bytes]:
        """A hash of each sequence, by which equal ones are found again."""
        return [hashlib.blake2b(self.row(i), digest_size=16).digest() for i in range(len(self))]

    def row(self, i: int) -> np.ndarray:
        """One sequence, shape (length, ...)."""
        return self.flat[self.offsets[i] : self.offsets[i + 1]].numpy()

    def gather(self, rows: Sequence[int], fill: float = 0) -> Tensor:
        """The given rows side by side, padded with `fill`: shape (len(rows), longest, ...)."""
        rows = torch.as_tensor(rows, dtype=torch.long)
        start = self.offsets[rows]
        length = self.offsets[rows + 1] - start
        place = torch.arange(int(length.max()) if len(rows) else 0)
        valid = place < length[:, None]
        out = self.flat[(start[:, None] + place).masked_fill_(~valid, 0)]
        out[~valid] = fill
        return out


def bucketed(lengths: np.ndarray, bs: int, rng: np.random.Generator) -> np.ndarray:
    """A random order in which each `bs` rows are of nearly the same length.

    Args:
        lengths: tokens of each row, shape (n,).
        bs: rows a batch.
    Returns:
        The order, shape (n,); only its last batch is short.
    """
    order = np.argsort(lengths * rng.uniform(1 - NOISE, 1 + NOISE, len(lengths)), kind="stable")
    full = len(order) - len(order) % bs
    # The odd rows are drawn from everywhere, or the same longest ones would meet in the short batch each epoch.
    odd = rng.choice(len(order), len(order) - full, replace=False)
    batches = np.delete(order, odd).reshape(-1, bs)
    return np.concatenate([rng.permutation(batches).ravel(), order[odd]])


class BucketDL(TfmdDL):
    """A fastai DataLoader of `Tokens` whose batches hold rows of nearly the same length.

    Each row is read once, through all of the dataset's transforms, and packed; batches are gathered from the packed
    rows. Without `shuffle` rows come longest first, and `get_preds` puts them back in order. `batch_rows` holds the row
    numbers of the batch last given out.

    Args:
        dataset: fastai `Datasets` whose first element is `Tokens`; further ones must be of one shape.
        rows: the rows, if they are packed already: `Packed` token ids, then a tensor for each target.
    """

    def __init__(self, dataset: Any = None, bs: int = 64, shuffle: bool = False, rows: tuple | None = None, **kwargs):
        kwargs["num_workers"] = 0  # gathering is cheaper than sending a batch from another process
        super().__init__(dataset, bs=bs, shuffle=shuffle, **kwargs)
        self._rows, self.batch_rows = rows, None

    @property
    def rows(self) -> tuple:
        """`Packed` token ids, then one tensor for each target, with a row for each item."""
        if self._rows is None:
            items = [self.do_item(i) for i in range(len(self.dataset))]
            columns = list(zip(*(item if isinstance(item, tuple) else (item,) for item in items), strict=True))
            ids = Packed.of([np.asarray(x, dtype=np.int32) for x in columns[0]])
            self._rows = (ids, *(type(c[0])(torch.stack(list(c))) for c in columns[1:]))
        return self._rows

    def new(self, dataset: Any = None, cls: type | None = None, **kwargs) -> "BucketDL":
        """A copy with other arguments; the packed rows go along while the dataset stays the same."""
        if dataset is None:
            kwargs.setdefault("rows", self.rows)
        return super().new(dataset, cls, **kwargs)

    def get_idxs(self) -> list[int]:
        lengths = self.rows[0].lengths
        if self.shuffle:
            return bucketed(lengths, self.bs, np.random.default_rng(self.rng.getrandbits(64))).tolist()
        return np.argsort(-lengths, kind="stable").tolist()

    def create_batches(self, samps: Iterable[int]) -> Iterator[tuple]:
        samps = iter(samps)
        while chosen := list(islice(samps, self.bs)):
            if self.drop_last and len(chosen) < self.bs:
                return
            yield self.gather(chosen)

    def gather(self, chosen: Sequence[int]) -> tuple:
        """The batch of the given rows: `Tokens` of shape (len(chosen), longest), then the targets."""
        self.batch_rows = chosen
        ids, *targets = self.rows
        return (Tokens(ids.gather(chosen, fill=PAD).long()), *(t[chosen] for t in targets))

    def seed(self, seed: int) -> None:
        """Start the order of the batches anew, so that it depends on `seed` alone."""
        self.rng = random.Random(seed)
