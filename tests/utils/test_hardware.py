"""Precision is chosen by what the processor has; cores by what the container allows."""

import os
from pathlib import Path

import pytest
import torch

from kickbert.utils import hardware

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx512_f": True}, "fp32")],
)
def test_auto_takes_bf16_where_the_processor_has_it(monkeypatch, capabilities, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert hardware.choose_precision("auto", CPU) == precision
    assert hardware.choose_precision("bf16", CPU) == "bf16" and hardware.choose_precision("fp32", CPU) == "fp32"


def test_other_devices_have_no_bf16(monkeypatch):
    assert not hardware.has_bf16(torch.device("meta"))
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)  # an older torch
    assert not hardware.has_bf16(CPU)


def test_unknown_precision():
    with pytest.raises(ValueError, match=r"precision='fp16' is not one of \['auto', 'fp32', 'bf16'\]"):
        hardware.choose_precision("fp16", CPU)


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 8), ("150000 100000", 2), ("5000 100000", 1), ("9900000 100000", 8), (None, 8)]
)
def test_cores_are_those_of_the_containers_quota(monkeypatch, quota, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)

    def read_text(path: Path, encoding: str) -> str:
        if quota is None:
            raise FileNotFoundError(path)
        return quota

    monkeypatch.setattr(Path, "read_text", read_text)
    assert hardware.cores() == cores


def test_processes_that_torchrun_started(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert (hardware.rank(), hardware.processes()) == (0, 1)  # some clusters set these for whatever runs there
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert (hardware.rank(), hardware.processes(), hardware.processes(here=True)) == (1, 4, 2)
    hardware.check_processes(2, gpus=2)
    with pytest.raises(ValueError, match="3 processes are more than the 2 GPUs of this machine; start at most 2"):
        hardware.check_processes(3, gpus=2)
