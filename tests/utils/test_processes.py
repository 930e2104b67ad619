"""Cores are limited by affinity and the container; rank variables count only if torchrun set them."""

import os
from pathlib import Path

import pytest

from kickbert.utils import processes


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 8), ("150000 100000", 2), ("5000 100000", 1), ("9900000 100000", 8), (None, 8)]
)
@pytest.mark.parametrize("affinity", [True, False])
def test_cores_are_limited_by_the_containers_quota(monkeypatch, quota, cores, affinity):
    if affinity:
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    else:  # macOS and Windows
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: 8)

    def read_text(path: Path, encoding: str) -> str:
        if quota is None:
            raise FileNotFoundError(path)
        return quota

    monkeypatch.setattr(Path, "read_text", read_text)
    assert processes.cores() == cores


def test_processes_started_by_torchrun(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert (processes.rank(), processes.world_size()) == (0, 1)  # some clusters set these for every program
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert (processes.rank(), processes.world_size(), processes.world_size(local=True)) == (1, 4, 2)
    processes.check_processes(2, gpus=2)
    with pytest.raises(ValueError, match="3 processes are too many: this machine has 2 GPUs"):
        processes.check_processes(3, gpus=2)
