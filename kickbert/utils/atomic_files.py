"""Files and folders that are there as a whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


def _sweep(folder: Path, pattern: str) -> None:
    """Take away what processes that were killed left half written: names that end in «.process.part»."""
    for left in folder.glob(f"{pattern}.*.part"):
        if not psutil.pid_exists(int(left.suffixes[-2][1:])):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Write under another name and take the real one at the end: a kill leaves the old file or the new one.

    Yields:
        The path to write to; it is gone when the body of the `with` raised.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    _sweep(file.parent, file.name)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def fresh_folder(home: Path) -> Iterator[Path]:
    """A new folder under `home` to fill and then to rename; what is left of it at the end goes away."""
    home.mkdir(parents=True, exist_ok=True)
    _sweep(home, "new-*")
    part = home / f"new-{uuid.uuid4().hex}.{os.getpid()}.part"
    part.mkdir()
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
