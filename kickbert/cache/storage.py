"""Where hidden states are kept: in memory up to a budget, past that memory-mapped in a file, past that not at all."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import psutil
import torch
from torch import Tensor

from kickbert.cache.states import Store, View
from kickbert.utils.atomic_files import replacing
from kickbert.utils.messages import byte_size
from kickbert.utils.processes import rank, world_size

SHARE = 0.5  # of the memory, and of the disk, that is free: the rest is for the training itself and for others


class Cache:
    """Hidden states of frozen prefixes, by content: what depends on the same weights, settings and texts is shared.

    When a budget is used up, the least recently used states are evicted.

    Args:
        memory: budget in bytes; None for half of the memory that is free when states are added.
        disk: budget of temporary files in bytes; None for half of the free space.
        folder: where states persist after the process ends; None for nowhere. Processes that train together each have
            a folder in it.
    """

    def __init__(self, memory: int | None = None, disk: int | None = None, folder: str | Path | None = None):
        self.memory, self.disk = memory, disk
        self.folder = Path(folder) if folder is not None else None
        if self.folder is not None and world_size() > 1:  # each keeps other rows under the same keys
            self.folder /= f"{rank()}of{world_size()}"
        self.by_key: dict[str, Store] = {}  # the least recently used first

    def find(self, key: str) -> Store | None:
        """The store of this key, which becomes the most recently used; None if there is none."""
        if key not in self.by_key:
            return None
        self.by_key[key] = self.by_key.pop(key)
        return self.by_key[key]

    def view(self, key: str, rows: Sequence[bytes]) -> View | None:
        """The rows in the store of this key; None if it is not there or lacks one of them."""
        store = self.find(key)
        return store.view(rows) if store is not None and all(row in store.places for row in rows) else None

    def get(self, key: str, depth: int, pooled: bool) -> Store:
        """The store of this key, read from the folder if it is there, else an empty one."""
        if key not in self.by_key:
            self.by_key[key] = self._opened(key, depth, pooled)
        return self.find(key)

    def used(self, where: str) -> int:
        """Bytes of all stores in one place: "memory", "gpu" or "file"."""
        return sum(store.nbytes(where) for store in self.by_key.values())

    def allocate(self, shape: tuple[int, int], dtype: torch.dtype, device: torch.device, keep: set[str]) -> tuple:
        """Allocate a tensor for hidden states, evicting the least recently used stores but those in `keep`.

        Args:
            shape: (tokens, width).
            keep: keys that are not evicted.
        Returns:
            The empty tensor and where it is; or None and why it does not fit.
        """
        size = shape[0] * shape[1] * dtype.itemsize
        if device.type == "cuda" and size <= SHARE * torch.cuda.mem_get_info(device)[0]:
            return torch.empty(shape, dtype=dtype, device=device), "gpu"
        if self._make_room(size, "memory", keep):
            return torch.empty(shape, dtype=dtype), "memory"
        if not self._make_room(size, "file", keep):
            return None, f"{byte_size(size)} are over the budgets of memory and disk"
        try:
            return _file_tensor(shape, dtype), "file"
        except OSError as err:  # a full disk, or a folder that may not be written to
            return None, f"no temporary file in {tempfile.gettempdir()}: {err.strerror}"

    def _make_room(self, size: int, where: str, keep: set[str]) -> bool:
        """Evict stores in one place, the least recently used first, where that makes enough room; else none of them."""
        evictable = [key for key, store in self.by_key.items() if key not in keep and store.nbytes(where)]
        if size > self._room(where) + sum(self.by_key[key].nbytes(where) for key in evictable):
            return False
        while evictable and size > self._room(where):
            del self.by_key[evictable.pop(0)]
        return True

    def _room(self, where: str) -> int:
        budget, used = (self.memory if where == "memory" else self.disk), self.used(where)
        if budget is None:
            folder = tempfile.gettempdir()
            free = psutil.virtual_memory().available if where == "memory" else shutil.disk_usage(folder).free
            budget = int(SHARE * (free / world_size(local=True) + used))
        return budget - used

    def save(self, key: str, store: Store) -> None:
        """Write the newest segment to the folder, if there is one: its states, then the index, which commits them."""
        if self.folder is None:
            return
        number = len(store.segments) - 1
        rows = [(k, start, n) for k, (segment, start, n) in store.places.items() if segment == number]
        states = store.segments[number].detach().cpu().contiguous().view(torch.uint8).numpy()
        with replacing(self.folder / f"{key}.{number}.states") as part:
            states.tofile(part)
        with replacing(self.folder / f"{key}.{number}.index") as part:
            index = np.array([(start, n) for _, start, n in rows], dtype=np.int64)
            with open(part, "wb") as file:
                keys = np.frombuffer(b"".join(k for k, *_ in rows), dtype=np.uint8)
                np.savez(file, keys=keys, index=index, dtype=str(store.segments[number].dtype), size=states.nbytes)

    def _opened(self, key: str, depth: int, pooled: bool) -> Store:
        store = Store(depth, pooled)
        while self.folder is not None and (file := self.folder / f"{key}.{len(store.segments)}.index").exists():
            states = file.with_suffix(".states")
            try:
                with np.load(file) as index:
                    places, dtype = index["index"], getattr(torch, str(index["dtype"]).removeprefix("torch."))
                    keys, size = index["keys"].reshape(len(places), -1), int(index["size"])
            except (OSError, ValueError, KeyError, BadZipFile):
                break  # damaged: its rows are computed again
            if not states.exists() or states.stat().st_size != size:
                break
            tokens = int(places[:, 1].sum())
            flat = torch.from_file(str(states), shared=False, size=states.stat().st_size // dtype.itemsize, dtype=dtype)
            rows = zip(keys, places.tolist(), strict=True)
            store.places |= {k.tobytes(): (len(store.segments), start, n) for k, (start, n) in rows}
            store.segments.append(flat.view(tokens, -1))
            store.where.append("file")
        return store


def _file_tensor(shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """A memory-mapped tensor in an unlinked temporary file, which is gone with the process, however that ends."""
    with tempfile.NamedTemporaryFile(prefix="kickbert-") as file:
        size = shape[0] * shape[1] * dtype.itemsize
        os.posix_fallocate(file.fileno(), 0, max(size, 1))  # a full disk is found out here, not by a crash later
        return torch.from_file(file.name, shared=True, size=shape[0] * shape[1], dtype=dtype).view(shape)


SHARED = Cache()
