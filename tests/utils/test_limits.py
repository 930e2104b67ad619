"""Cores and memory are those of the machine, within the limits of the container."""

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from kickbert.cache.storage import Cache
from kickbert.utils import limits
from kickbert.utils.devices import limit_threads

GIB = 2**30


@pytest.fixture
def container(monkeypatch):
    """Let the container have these control files and no others."""

    def set_files(**files: str) -> None:
        named = {name.replace("__", "/").replace("_of_", "."): text for name, text in files.items()}

        def read(name: str) -> str:
            if name not in named:
                raise FileNotFoundError(name)
            return named[name]

        monkeypatch.setattr(limits, "_read", read)

    return set_files


@pytest.mark.parametrize("affinity", [True, False])
@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu_of_max": "max 100000"}, 8),
        ({"cpu_of_max": "150000 100000"}, 2),
        ({"cpu_of_max": "5000 100000"}, 1),
        ({"cpu_of_max": "9900000 100000"}, 8),
        ({"cpu__cpu_of_cfs_quota_us": "50000", "cpu__cpu_of_cfs_period_us": "100000"}, 1),
        ({"cpu__cpu_of_cfs_quota_us": "-1", "cpu__cpu_of_cfs_period_us": "100000"}, 8),
    ],
)
def test_cores_are_limited_by_the_containers_quota(container, monkeypatch, files, cores, affinity):
    if affinity:
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    else:  # macOS and Windows
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
    container(**files)
    assert limits.cores() == cores


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 16),
        ({"memory_of_max": "max", "memory_of_current": str(GIB)}, 16),
        ({"memory_of_max": str(2 * GIB), "memory_of_current": str(GIB)}, 1),
        (
            {
                "memory_of_max": str(4 * GIB),
                "memory_of_current": str(4 * GIB),
                "memory_of_stat": f"anon 1\ninactive_file {3 * GIB}",
            },
            3,
        ),
        ({"memory_of_max": str(GIB), "memory_of_current": str(2 * GIB)}, 0),
        (
            {
                "memory__memory_of_limit_in_bytes": str(3 * GIB),
                "memory__memory_of_usage_in_bytes": str(GIB),
            },
            2,
        ),
    ],
)
def test_memory_is_the_containers(container, monkeypatch, files, free):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=16 * GIB))
    container(**files)
    assert limits.free_memory() == free * GIB
    assert Cache()._available("memory") <= free * GIB // 2


def test_files_in_memory_count_as_memory(container, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=GIB))
    container()
    mounts = {"/": "ext4", str(Path(tempfile.gettempdir()).resolve()): "tmpfs"}
    parts = [SimpleNamespace(mountpoint=folder, fstype=kind) for folder, kind in mounts.items()]
    monkeypatch.setattr("psutil.disk_partitions", lambda all: parts)
    assert limits.is_in_memory(tempfile.gettempdir()) and not limits.is_in_memory("/usr")
    assert Cache()._available("file") <= GIB // 2


def test_torch_uses_no_more_threads_than_the_container_has_cores(container):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        container(cpu_of_max="100000 100000")
        limit_threads()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
