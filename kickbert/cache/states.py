"""Hidden states of many rows in flat arrays, and the look-up of a dataset's rows in them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor


@dataclass
class Store:
    """Hidden states of one depth of one prefix; a row is looked up by the hash of its token ids.

    Args:
        depth: number of layers of the prefix.
        pooled: whether it holds one pooled vector a row instead of one hidden state a token.
        segments: hidden states concatenated over rows, each shape (tokens, width).
        places: for each row the segment, the offset of its first token there, and its number of tokens.
        where: "memory", "gpu" or "file", for each segment.
        seconds: spent on computing the states.
        read: hidden states read instead of computed, over all epochs.
    """

    depth: int
    pooled: bool
    segments: list[Tensor] = field(default_factory=list)
    places: dict[bytes, tuple[int, int, int]] = field(default_factory=dict)
    where: list[str] = field(default_factory=list)
    seconds: float = 0.0
    read: int = 0

    @property
    def tokens(self) -> int:
        """Number of hidden states."""
        return sum(len(s) for s in self.segments)

    def nbytes(self, where: str | None = None) -> int:
        """Bytes in all segments, or in those that are in memory, on the GPU or in files."""
        return sum(s.nbytes for s, w in zip(self.segments, self.where, strict=True) if where in (None, w))

    def view(self, keys: Sequence[bytes]) -> "View":
        """The rows with these hashes, by number.

        Raises:
            KeyError: a row that is not in the store.
        """
        places = np.array([self.places[key] for key in keys], dtype=np.int64).reshape(-1, 3)
        return View(self, *torch.from_numpy(places).unbind(1))


@dataclass(eq=False)
class View:
    """Rows of a store in the order of a dataset.

    Args:
        store: that they are in.
        segment, start, length: of each row the segment, the offset of its first token and the number of tokens, int64,
            shape (rows,).
    """

    store: Store
    segment: Tensor
    start: Tensor
    length: Tensor

    def hidden(self, rows: Sequence[int], device: torch.device) -> Tensor:
        """States of rows for the layers above: in fp32, as a layer leaves them under autocast, so that sums stay exact.

        Returns:
            Shape (len(rows), longest, width), or (len(rows), width) of pooled ones.
        """
        states = self.gather(rows)
        return (states[:, 0] if self.store.pooled else states).to(device).float()

    def gather(self, rows: Sequence[int]) -> Tensor:
        """Hidden states of rows, padded: shape (len(rows), longest, width); padding holds arbitrary finite numbers."""
        rows = torch.as_tensor(rows)
        segment, start, length = self.segment[rows], self.start[rows], self.length[rows]
        self.store.read += int(length.sum())
        position = torch.arange(int(length.max()))
        # Padding repeats a row's last state: finite numbers, which the attention mask keeps out of everything.
        index = start[:, None] + torch.minimum(position, length[:, None] - 1)
        if len(self.store.segments) == 1:
            flat = self.store.segments[0]
            return flat[index.to(flat.device)]
        device = self.store.segments[0].device
        out = torch.empty(
            *index.shape, self.store.segments[0].shape[1], dtype=self.store.segments[0].dtype, device=device
        )
        for number in segment.unique().tolist():
            in_segment, flat = segment == number, self.store.segments[number]
            out[in_segment.to(device)] = flat[index[in_segment].to(flat.device)].to(device)
        return out
