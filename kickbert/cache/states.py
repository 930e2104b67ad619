"""Hidden states of many rows in flat arrays, and the look-up of a dataset's rows in them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor


@dataclass
class Store:
    """Hidden states at one depth of one prefix; a row is found by the hash of its token ids.

    Args:
        depth: number of layers of the prefix.
        pooled: whether it holds one pooled vector per row instead of one hidden state per token.
        segments: hidden states concatenated over rows, each of shape (tokens, width).
        positions: for each row its segment, the offset of its first state there, and its number of states.
        where: "memory", "gpu" or "file", for each segment.
        seconds: time spent computing the states.
        read: hidden states read instead of computed, over all epochs.
    """

    depth: int
    pooled: bool
    segments: list[Tensor] = field(default_factory=list)
    positions: dict[bytes, tuple[int, int, int]] = field(default_factory=dict)
    where: list[str] = field(default_factory=list)
    seconds: float = 0.0
    read: int = 0

    @property
    def tokens(self) -> int:
        """Number of hidden states."""
        return sum(len(s) for s in self.segments)

    def nbytes(self, where: str | None = None) -> int:
        """Count the bytes of all segments, or of those in memory, on the GPU or in files."""
        return sum(s.nbytes for s, w in zip(self.segments, self.where, strict=True) if where in (None, w))

    def view(self, keys: Sequence[bytes]) -> "View":
        """Look up rows by their hashes.

        Raises:
            KeyError: a row is not in the store.
        """
        positions = np.array([self.positions[key] for key in keys], dtype=np.int64).reshape(-1, 3)
        return View(self, *torch.from_numpy(positions).unbind(1))


@dataclass(eq=False)
class View:
    """Rows of a store in the order of a dataset.

    Args:
        store: the store.
        segment, start, length: each row's segment, offset of its first state and state count, int64, shape (rows,).
    """

    store: Store
    segment: Tensor
    start: Tensor
    length: Tensor

    def hidden(self, rows: Sequence[int], device: torch.device) -> Tensor:
        """Return states of rows for the layers above, in fp32 as a layer under autocast returns them.

        Returns:
            Shape (len(rows), longest, width), or (len(rows), width) if they are pooled.
        """
        states = self.gather(rows)
        return (states[:, 0] if self.store.pooled else states).to(device).float()

    def gather(self, rows: Sequence[int]) -> Tensor:
        """Return states of rows, shape (len(rows), longest, width), with arbitrary finite numbers as padding."""
        chosen = torch.as_tensor(rows)
        segment, start, length = self.segment[chosen], self.start[chosen], self.length[chosen]
        self.store.read += int(length.sum())
        position = torch.arange(int(length.max()))
        # Padding repeats a row's last state: finite numbers, which the attention mask excludes everywhere.
        index = start[:, None] + torch.minimum(position, length[:, None] - 1)
        first = self.store.segments[0]
        if len(self.store.segments) == 1:
            return first[index.to(first.device)]
        out = torch.empty(*index.shape, first.shape[1], dtype=first.dtype, device=first.device)
        for number in segment.unique().tolist():
            in_segment, flat = segment == number, self.store.segments[number]
            out[in_segment.to(first.device)] = flat[index[in_segment].to(flat.device)].to(first.device)
        return out
