"""Hashes of tensors, texts and files: by them a cache, a checkpoint and an artifact know what they are of."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def feed(state: Any, tensors: "Iterable[Tensor]") -> None:
    """Add types, shapes and contents of tensors to a hash of hashlib."""
    for tensor in tensors:
        state.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        state.update(tensor.detach().cpu().contiguous().numpy())


def digest(*parts: "str | Iterable[Tensor]") -> str:
    """A hash of texts and of the contents of tensors, 32 hex digits."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, str):
            state.update(part.encode())
        else:
            feed(state, part)
    return state.hexdigest()


def file_digest(file: Path) -> str:
    """sha256 of a file, 64 hex digits."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
