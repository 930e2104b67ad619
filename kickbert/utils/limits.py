"""Cores and memory that this process may use: those of the machine, within the limits of its container (cgroups)."""

import math
import os
from contextlib import suppress
from pathlib import Path

import psutil

CGROUP = "/sys/fs/cgroup"
IN_MEMORY = ("tmpfs", "ramfs")  # file systems whose files take memory


def cores() -> int:
    """Count the cores that this process may use: its CPU affinity, limited by the container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS or Windows
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(available, _quota() or available))


def free_memory() -> int:
    """Count the bytes of memory that are available: those of the machine, limited by the container's."""
    free = psutil.virtual_memory().available
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):  # no such file, or no limit ("max")
            free = min(free, int(_read(limit)) - int(_read(used)) + _reclaimable())
    return max(free, 0)


def is_in_memory(folder: str | Path) -> bool:
    """Whether the files of a folder take memory, as in a container's /tmp or /dev/shm."""
    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    path = Path(folder).resolve()
    return next((mounts[str(p)] in IN_MEMORY for p in (path, *path.parents) if str(p) in mounts), False)


def _quota() -> int | None:
    """Cores of the container's quota, rounded up; None without one."""
    with suppress(OSError, ValueError):
        quota, period = _read("cpu.max").split()
        return math.ceil(int(quota) / int(period))
    with suppress(OSError, ValueError):
        quota, period = (_read(f"cpu/cpu.cfs_{name}_us") for name in ("quota", "period"))
        return math.ceil(int(quota) / int(period)) if int(quota) > 0 else None
    return None


def _reclaimable() -> int:
    """Bytes of the container's page cache that the system takes back when memory is needed."""
    with suppress(OSError):
        lines = _read("memory.stat").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
    return 0


def _read(name: str) -> str:
    return Path(CGROUP, name).read_text(encoding="ascii")
