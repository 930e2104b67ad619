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
from torch import Tensor

from kickbert.data.transforms import Tokens
from kickbert.text.tokenization import PAD

NOISE = 0.05  # lengths are blurred by 5 % before sorting, so that batches differ from epoch to epoch


@dataclass(frozen=True, eq=False)
class Packed:
    """Sequences of different lengths in one array.

    Args:
        flat: all sequences one after another, shape (total, ...).
        offsets: where each begins, and the end, int64, shape (rows + 1,).
        first: the first sequence of each document, and the end, shape (documents + 1,), where a document may have
            several, its windows; None where each sequence is one.
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


def by_document(windows: Tensor, counts: np.ndarray) -> Tensor:
    """Windows side by side with those of their document.

    Args:
        windows: shape (sum of counts, tokens).
        counts: how many each document has.
    Returns:
        Shape (documents, most windows, tokens), `PAD` where a document has none.
    """
    out = windows.new_full((len(counts), int(counts.max()), windows.shape[1]), PAD)
    out[torch.from_numpy(np.arange(counts.max()) < counts[:, None])] = windows
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
        weights: how likely each row is to be drawn, shape (n,), of sum 1: with `shuffle` an epoch then is n draws with
            replacement; None for each row once.
        renew: gives the token ids of an epoch, `Packed`, if they change from epoch to epoch.
    """

    def __init__(
        self,
        dataset: Any = None,
        bs: int = 64,
        shuffle: bool = False,
        rows: tuple | None = None,
        weights: np.ndarray | None = None,
        renew: Callable[[], Packed] | None = None,
        **kwargs: Any,
    ):
        kwargs["num_workers"] = 0  # gathering is cheaper than sending a batch from another process
        super().__init__(dataset, bs=bs, shuffle=shuffle, **kwargs)
        self._rows, self.batch_rows, self.weights, self.renew, self._fresh = rows, None, weights, renew, None

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
            kwargs = {"rows": self.rows, "weights": self.weights, "renew": self.renew, **kwargs}
        return super().new(dataset, cls, **kwargs)

    def before_iter(self) -> None:
        super().before_iter()
        self._fresh = self.renew() if self.renew else None

    @property
    def ids(self) -> Packed:
        """The token ids of this epoch."""
        return self.rows[0] if self._fresh is None else self._fresh

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
        """The batch of the given rows: `Tokens` of shape (len(chosen), longest), then the targets.

        Of documents with windows the tokens are of shape (len(chosen), most windows, longest).
        """
        ids, targets = self.ids, self.rows[1:]
        self.batch_rows = ids.of_documents(chosen)
        x = ids.gather(self.batch_rows, fill=PAD).long()
        if ids.first is not None:
            x = by_document(x, ids.first[np.add(chosen, 1)] - ids.first[chosen])
        return (Tokens(x), *(t[chosen] for t in targets))

    def seed(self, seed: int) -> None:
        """Start the order of the batches anew, so that it depends on `seed` alone."""
        self.rng = random.Random(seed)
