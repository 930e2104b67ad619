"""Hidden states of many rows side by side, and the rows of a dataset in them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor


@dataclass
class Store:
    """States of one depth of one prefix; a row is found by the hash of its tokens.

    Args:
        depth: layers below.
        pooled: whether there is one pooled state a row, not one a token.
        segments: states one after another, each shape (tokens, width).
        places: for each row its segment, its first token there, and how many it has.
        where: "memory", "gpu" or "file", for each segment.
        seconds: what building took.
        read: tokens that were read instead of computed.
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
        """States held."""
        return sum(len(s) for s in self.segments)

    def nbytes(self, where: str | None = None) -> int:
        """Bytes held, in all or in one place."""
        return sum(s.nbytes for s, w in zip(self.segments, self.where, strict=True) if where in (None, w))

    def view(self, keys: Sequence[bytes]) -> "View":
        """The rows of the given hashes, all of which must be here, by number."""
        places = np.array([self.places[key] for key in keys], dtype=np.int64).reshape(-1, 3)
        return View(self, *torch.from_numpy(places).unbind(1))


@dataclass(eq=False)
class View:
    """Rows of a store in the order of a dataset: their segments, first tokens and lengths, int64, shape (rows,)."""

    store: Store
    segment: Tensor
    start: Tensor
    length: Tensor

    def gather(self, rows: Sequence[int]) -> Tensor:
        """States of the given rows, shape (len(rows), longest, width); what stands after a row's end is arbitrary."""
        rows = torch.as_tensor(rows)
        segment, start, length = self.segment[rows], self.start[rows], self.length[rows]
        self.store.read += int(length.sum())
        place = torch.arange(int(length.max()))
        # After a row's end its last state is repeated: finite numbers, which the mask keeps out of everything.
        index = start[:, None] + torch.minimum(place, length[:, None] - 1)
        if len(self.store.segments) == 1:
            flat = self.store.segments[0]
            return flat[index.to(flat.device)]
        device = self.store.segments[0].device
        out = torch.empty(
            *index.shape, self.store.segments[0].shape[1], dtype=self.store.segments[0].dtype, device=device
        )
        for number in segment.unique().tolist():
            here, flat = segment == number, self.store.segments[number]
            out[here.to(device)] = flat[index[here].to(flat.device)].to(device)
        return out
