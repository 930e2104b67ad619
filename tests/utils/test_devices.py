"""The precision depends on what the processor supports."""

import pytest
import torch

from kickbert.utils import devices

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx512_f": True}, "fp32")],
)
def test_auto_is_bf16_if_the_processor_supports_it(monkeypatch, capabilities, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert devices.choose_precision("auto", CPU) == precision
    assert devices.choose_precision("bf16", CPU) == "bf16" and devices.choose_precision("fp32", CPU) == "fp32"


def test_other_devices_have_no_bf16(monkeypatch):
    assert not devices.has_bf16(torch.device("meta"))
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)  # an older torch
    assert not devices.has_bf16(CPU)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"precision='fp16' is not one of \['auto', 'fp32', 'bf16'\]"):
        devices.choose_precision("fp16", CPU)
    with pytest.raises(ValueError, match=r"device='warp:9' is not available \(.*\)\. Use '"):
        devices.usable_device("warp:9")
