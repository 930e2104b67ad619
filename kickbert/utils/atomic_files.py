"""Files and folders that are written completely or not at all."""

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TRIES = 20  # of a rename
STALE = 24 * 3600  # seconds after which an unfinished file counts as abandoned by a killed process


def _new_part(folder: Path) -> Path:
    """Return a new name to write to, and delete old files that killed processes left in the folder."""
    for path in folder.glob(".kickbert-*.part"):
        with suppress(OSError):  # another process deletes it too, or it belongs to another user
            if time.time() - path.stat().st_mtime > STALE:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder / f".kickbert-{uuid.uuid4().hex}.part"


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Write to a temporary file and rename it at the end: a killed process leaves the old file or the new one.

    Args:
        file: the file to write or replace.
    Yields:
        The path to write to; it is deleted if the body of the `with` raises.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = _new_part(file.parent)
    try:
        yield part
        patiently(os.replace, part, file)
    finally:
        part.unlink(missing_ok=True)


def patiently(move: Callable[[Path, Path], None], source: Path, target: Path) -> None:
    """Rename a file or folder; on Windows, a scanner may hold it for a moment.

    Raises:
        OSError: it is still held after two seconds, or for another reason.
    """
    for _ in range(TRIES):
        with suppress(PermissionError):
            return move(source, target)
        time.sleep(2 / TRIES)
    return move(source, target)


@contextmanager
def fresh_folder(home: Path) -> Iterator[Path]:
    """Make a new folder to fill and rename; if it was not renamed, it is deleted at the end.

    Args:
        home: the folder in which it is made.
    """
    home.mkdir(parents=True, exist_ok=True)
    part = _new_part(home)
    part.mkdir()
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def exclusive(path: Path, wait: float = 0) -> Iterator[None]:
    """Lock a file or folder, which need not exist yet, for this process; the lock ends with the process.

    Args:
        path: the file or folder.
        wait: seconds to wait for another process that holds it.
    Raises:
        ValueError: another process still holds it.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=wait)
    except Timeout as err:
        raise ValueError(f"another process is writing to {path}. Wait for it, or choose another name") from err
    try:
        yield
    finally:
        with suppress(OSError):  # Windows does not delete an open file; filelock notices a deleted one
            file.unlink()
        lock.release()
