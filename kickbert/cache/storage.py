"""Storage of hidden states: in memory up to a budget, then memory-mapped in a file, then not at all."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from kickbert.cache.states import Store, View
from kickbert.utils.atomic_files import replacing
from kickbert.utils.limits import free_memory, is_in_memory
from kickbert.utils.messages import byte_size
from kickbert.utils.processes import rank, world_size

SHARE = 0.5  # of the free memory and disk; the rest is for the training itself and other programs
BLOCK = bytes(2**20)


class Cache:
    """Hidden states of frozen prefixes, shared by content: the same weights, settings and texts share their states.

    When a budget is used up, the least recently used states are evicted.

    Args:
        memory: memory budget in bytes; None for half of the free memory at the time states are added.
        disk: budget for temporary files in bytes; None for half of the free space.
        folder: where states persist after the process ends; None to discard them. Processes that train together use a
            subfolder each.
    """

    def __init__(self, memory: int | None = None, disk: int | None = None, folder: str | Path | None = None):
        self.memory = memory
        self.disk = disk
        self.folder = Path(folder).expanduser() if folder is not None else None
        if self.folder is not None and world_size() > 1:  # each process stores other rows under the same keys
            self.folder /= f"{rank()}of{world_size()}"
        self.by_key: dict[str, Store] = {}  # least recently used first

    def find(self, key: str) -> Store | None:
        """Return the store of this key and mark it as the most recently used; None if there is none."""
        if key not in self.by_key:
            return None
        store = self.by_key[key] = self.by_key.pop(key)
        return store

    def view(self, key: str, rows: Sequence[bytes]) -> View | None:
        """Look up rows in the store of this key; None if there is no store or it lacks one of them."""
        store = self.find(key)
        return store.view(rows) if store is not None and all(row in store.positions for row in rows) else None

    def get(self, key: str, depth: int, pooled: bool) -> Store:
        """Return the store of this key, read from the folder if it is there, otherwise empty."""
        store = self.find(key)
        if store is None:
            store = self.by_key[key] = self._load(key, depth, pooled)
        return store

    def used(self, where: str) -> int:
        """Count the bytes of all stores in one place: "memory", "gpu" or "file"."""
        return sum(store.nbytes(where) for store in self.by_key.values())

    def allocate(
        self, shape: tuple[int, int], dtype: torch.dtype, device: torch.device, keep: Collection[str]
    ) -> tuple[Tensor | None, str]:
        """Allocate a tensor for hidden states, evicting the least recently used stores.

        Args:
            shape: (tokens, width).
            dtype: type of the states.
            device: the device that reads them.
            keep: keys of stores that are not evicted.
        Returns:
            The empty tensor and where it is; or None and why it does not fit.
        """
        size = shape[0] * shape[1] * dtype.itemsize
        if device.type == "cuda" and size <= SHARE * torch.cuda.mem_get_info(device)[0]:
            return torch.empty(shape, dtype=dtype, device=device), "gpu"
        if self._evict(size, "memory", keep):
            return torch.empty(shape, dtype=dtype), "memory"
        if not self._evict(size, "file", keep):
            return None, f"{byte_size(size)} exceed the memory and disk budgets"
        try:
            return _file_tensor(shape, dtype), "file"
        except (OSError, RuntimeError) as err:  # a full disk, a folder without write permission, torch cannot map it
            reason = getattr(err, "strerror", None) or str(err).partition("\n")[0]
            return None, f"no temporary file in {tempfile.gettempdir()}: {reason}"

    def _evict(self, size: int, where: str, keep: Collection[str]) -> bool:
        """Evict the least recently used stores in one place if that frees enough bytes; otherwise none."""
        evictable = [key for key, store in self.by_key.items() if key not in keep and store.nbytes(where)]
        if size > self._available(where) + sum(self.by_key[key].nbytes(where) for key in evictable):
            return False
        while evictable and size > self._available(where):
            del self.by_key[evictable.pop(0)]
        return True

    def _available(self, where: str) -> int:
        """Bytes left of the budget."""
        budget = self.memory if where == "memory" else self.disk
        used = self.used(where)
        if budget is None:
            folder = tempfile.gettempdir()
            free = free_memory() if where == "memory" else shutil.disk_usage(folder).free
            if where == "file" and is_in_memory(folder):
                free = min(free, free_memory())
            budget = int(SHARE * (free / world_size(local=True) + used))
        return budget - used

    def save(self, key: str, store: Store) -> None:
        """Write the newest segment to the folder, if there is one: its states, then the index, which commits them."""
        if self.folder is None:
            return
        number = len(store.segments) - 1
        rows = [(k, start, n) for k, (segment, start, n) in store.positions.items() if segment == number]
        states = store.segments[number].detach().cpu().contiguous().view(torch.uint8).numpy()
        with replacing(self.folder / f"{key}.{number}.states") as part:
            states.tofile(part)
        with replacing(self.folder / f"{key}.{number}.index") as part, open(part, "wb") as file:
            index = np.array([(start, n) for _, start, n in rows], dtype=np.int64)
            keys = np.frombuffer(b"".join(k for k, *_ in rows), dtype=np.uint8)
            dtype = np.array(str(store.segments[number].dtype))
            np.savez(file, keys=keys, index=index, dtype=dtype, size=np.array(states.nbytes))

    def _load(self, key: str, depth: int, pooled: bool) -> Store:
        """Read a store from the folder, up to its first damaged segment, which is computed again."""
        store = Store(depth, pooled)
        while self.folder is not None and (file := self.folder / f"{key}.{len(store.segments)}.index").exists():
            states = file.with_suffix(".states")
            try:
                with np.load(file) as index:
                    positions = index["index"]
                    dtype = getattr(torch, str(index["dtype"]).removeprefix("torch."))
                    keys = index["keys"].reshape(len(positions), -1)
                    size = int(index["size"])
            except (OSError, ValueError, KeyError, BadZipFile):
                break
            if not states.exists() or states.stat().st_size != size:
                break
            flat = torch.from_file(str(states), shared=False, size=size // dtype.itemsize, dtype=dtype)
            for row, (start, n) in zip(keys, positions.tolist(), strict=True):
                store.positions[row.tobytes()] = (len(store.segments), start, n)
            store.segments.append(flat.view(int(positions[:, 1].sum()), -1))
            store.where.append("file")
        return store


def _file_tensor(shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Make a memory-mapped tensor in a deleted temporary file, which disappears with the process however it ends."""
    descriptor, name = tempfile.mkstemp(prefix="kickbert-")
    try:
        with open(descriptor, "r+b") as file:
            _reserve(file, max(shape[0] * shape[1] * dtype.itemsize, 1))
        return torch.from_file(name, shared=True, size=shape[0] * shape[1], dtype=dtype).view(shape)
    finally:
        _delete(name)


def _reserve(file: BinaryIO, size: int) -> None:
    """Reserve space for a file, so that a full disk raises an error here and does not crash the process later."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, len(BLOCK)):  # macOS and Windows
        file.write(BLOCK[: size - start])


def _delete(name: str) -> None:
    """Delete a file; Windows refuses while it is mapped, so there it is deleted when the process ends."""
    try:
        os.unlink(name)
    except PermissionError:
        atexit.register(Path(name).unlink, missing_ok=True)


SHARED = Cache()
