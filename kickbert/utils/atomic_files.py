"""Files and folders that are there as a whole or not at all."""

import hashlib
import os
import platform
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

# What is being written: the machine, the process's number and start there, and a number of the file's own.
_PART = re.compile(r"\.kickbert-([0-9a-f]{12})-(\d+)-(\d+)-[0-9a-f]{32}\.part")
SLACK = 2  # seconds by which two readings of a process's start may differ: the time of boot is in whole ones


def _machine() -> str:
    """A hash that tells machines apart, and containers, each of which numbers its processes by itself."""
    namespace = Path("/proc/self/ns/pid")
    number = namespace.stat().st_ino if namespace.exists() else 0
    return hashlib.sha256(f"{platform.node()} {number}".encode()).hexdigest()[:12]


def _start(pid: int) -> int:
    """Seconds from boot to a process's start, which stay the same when the clock is set."""
    return round(psutil.Process(pid).create_time() - psutil.boot_time())


def _runs(pid: int, start: int) -> bool:
    """Whether a process is still there, and not another one by its number."""
    try:
        return abs(_start(pid) - start) <= SLACK
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # it is there, and another user's
        return True


def _new_part(folder: Path) -> Path:
    """A name to write under; what processes of this machine left half written, when they were killed, goes away."""
    for path in folder.glob(".kickbert-*.part"):
        match = _PART.fullmatch(path.name)
        if match and match[1] == _machine() and not _runs(int(match[2]), int(match[3])):
            with suppress(OSError):  # another process clears it away too, or it is another user's
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    pid = os.getpid()
    return folder / f".kickbert-{_machine()}-{pid}-{_start(pid)}-{uuid.uuid4().hex}.part"


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Write under another name and take the real one at the end: a kill leaves the old file or the new one.

    Yields:
        The path to write to; it is gone when the body of the `with` raised.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = _new_part(file.parent)
    try:
        yield part
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def fresh_folder(home: Path) -> Iterator[Path]:
    """A new folder under `home` to fill and then to rename; what is left of it at the end goes away."""
    home.mkdir(parents=True, exist_ok=True)
    part = _new_part(home)
    part.mkdir()
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def exclusive(path: Path, wait: float = 0) -> Iterator[None]:
    """Hold a file or folder, there or to come, for this process alone, by a lock that goes with the process.

    Args:
        wait: seconds, for another process that holds it.
    Raises:
        ValueError: another process holds it, still.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=wait)
    except Timeout as err:
        raise ValueError(f"another process writes to {path}; wait for it, or give another name") from err
    try:
        yield
    finally:
        with suppress(OSError):  # filelock finds by itself that a file was taken away
            file.unlink()
        lock.release()
