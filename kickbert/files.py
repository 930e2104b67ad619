"""Files that are there as a whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Write under another name and take the real one at the end: a kill leaves the old file or the new one.

    Yields:
        The path to write to; it is gone when the body of the `with` raised.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    for left in file.parent.glob(f"{file.name}.*.part"):  # by a process that was killed
        if not psutil.pid_exists(int(left.suffixes[-2][1:])):
            left.unlink(missing_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
