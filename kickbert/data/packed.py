"""Sequences of different lengths in one array, without padding."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from kickbert.text.tokenization import PAD


@dataclass(frozen=True, eq=False)
class Packed:
    """Sequences of different lengths in one array.

    Args:
        flat: the concatenated sequences, shape (total, ...).
        offsets: start of each sequence in `flat`, and the end, int64, shape (rows + 1,).
        first: for documents in windows, the number of the first sequence of each document, and the end, shape
            (documents + 1,); None if each sequence is a document.
    """

    flat: Tensor
    offsets: Tensor
    first: np.ndarray | None = None

    @classmethod
    def of(cls, sequences: Sequence[np.ndarray], first: np.ndarray | None = None) -> "Packed":
        """Pack arrays of shape (length, ...)."""
        flat = np.concatenate(sequences) if sequences else np.zeros(0, dtype=np.int32)
        offsets = np.cumsum([0, *map(len, sequences)], dtype=np.int64)
        return cls(torch.from_numpy(flat), torch.from_numpy(offsets), first)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Length of each sequence, int64, shape (rows,)."""
        return np.diff(self.offsets.numpy())

    @cached_property
    def sizes(self) -> np.ndarray:
        """Number of tokens of each document, int64, shape (documents,)."""
        return self.lengths if self.first is None else np.diff(self.offsets.numpy()[self.first])

    def of_documents(self, documents: Sequence[int] | np.ndarray) -> Sequence[int] | np.ndarray:
        """The sequences of documents, one document after another."""
        if self.first is None:
            return documents
        return [row for d in documents for row in range(self.first[d], self.first[d + 1])]

    def take(self, documents: Sequence[int] | np.ndarray) -> "Packed":
        """Copy some documents, in that order."""
        rows = np.asarray(self.of_documents(documents), dtype=np.int64)
        offsets = np.cumsum([0, *self.lengths[rows]], dtype=np.int64)
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], self.lengths[rows])
        flat = self.flat[torch.from_numpy(np.repeat(self.offsets.numpy()[rows], self.lengths[rows]) + within)]
        first = None if self.first is None else np.cumsum([0, *np.diff(self.first)[documents]])
        return Packed(flat, torch.from_numpy(offsets), first)

    def __add__(self, other: "Packed") -> "Packed":
        """Concatenate the documents of both."""
        offsets = torch.cat([self.offsets, other.offsets[1:] + self.offsets[-1]])
        first = None
        if self.first is not None and other.first is not None:
            first = np.concatenate([self.first, other.first[1:] + self.first[-1]])
        return Packed(torch.cat([self.flat, other.flat]), offsets, first)

    @cached_property
    def keys(self) -> list[bytes]:
        """A hash of the content of each sequence, 16 bytes."""
        return [_hash(self.row(i)) for i in range(len(self))]

    @cached_property
    def document_keys(self) -> list[tuple[bytes, ...]]:
        """The keys of the sequences of each document."""
        return [tuple(self.keys[i] for i in self.of_documents([d])) for d in range(len(self.sizes))]

    def row(self, i: int) -> np.ndarray:
        """One sequence, shape (length, ...)."""
        return self.flat[self.offsets[i] : self.offsets[i + 1]].numpy()

    def gather(self, rows: Sequence[int], fill: float = 0) -> Tensor:
        """A padded batch of sequences, shape (len(rows), longest, ...), with `fill` as padding."""
        chosen = torch.as_tensor(rows, dtype=torch.long)
        start = self.offsets[chosen]
        length = self.offsets[chosen + 1] - start
        position = torch.arange(int(length.max()) if len(chosen) else 0)
        valid = position < length[:, None]
        out = self.flat[(start[:, None] + position).masked_fill_(~valid, 0)]
        out[~valid] = fill
        return out


def document_key(tokens: Tensor) -> tuple[bytes, ...]:
    """Return the key of one document of a batch, as in `Packed.document_keys`.

    Args:
        tokens: shape (tokens,), or (windows, tokens) for a document in windows, padded with `PAD`.
    """
    windows = [
        w[w != PAD].to("cpu", torch.int32).numpy() for w in tokens.as_subclass(Tensor).reshape(-1, tokens.shape[-1])
    ]
    return tuple(_hash(window) for window in windows if len(window))


def _hash(tokens: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(tokens).data, digest_size=16).digest()


def by_document(windows: Tensor, counts: np.ndarray) -> Tensor:
    """Group windows by document, padded with windows of `PAD`.

    Args:
        windows: shape (sum of counts, tokens).
        counts: number of windows of each document.
    Returns:
        Shape (documents, maximum windows, tokens).
    """
    out = windows.new_full((len(counts), int(counts.max()), windows.shape[1]), PAD)
    out[torch.from_numpy(np.arange(counts.max()) < counts[:, None])] = windows
    return out
