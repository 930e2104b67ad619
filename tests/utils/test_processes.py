"""Rank variables count only if torchrun set them."""

import pytest

from kickbert.utils import processes


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
