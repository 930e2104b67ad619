import pytest
import torch

from kickbert.utils import hardware

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("found", "chosen"), [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx512_f": True}, "fp32")]
)
def test_auto_takes_bf16_where_the_processor_has_it(monkeypatch, found, chosen):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert hardware.choose_precision("auto", CPU) == chosen
    assert hardware.choose_precision("bf16", CPU) == "bf16" and hardware.choose_precision("fp32", CPU) == "fp32"


def test_unknown_precision():
    with pytest.raises(ValueError, match=r"precision='fp16' is not one of \['auto', 'fp32', 'bf16'\]"):
        hardware.choose_precision("fp16", CPU)
