import pytest
import torch
from torch import nn

from kickbert.training.checkpoint import load_phase, save_phase
from kickbert.utils.hashing import digest


def test_what_a_run_trains_is_kept_and_the_rest_left_out(tmp_path):
    model, file = nn.Linear(3, 2), tmp_path / "deep" / "gradual.safetensors"
    weight = model.weight.detach().clone()
    save_phase(file, {"weight": model.weight}, "key", [{"phase": "head", "accuracy": 0.5}])
    nn.init.zeros_(model.weight), nn.init.constant_(model.bias, 9)
    assert load_phase(file, model, "key") == [{"phase": "head", "accuracy": 0.5}]
    assert torch.equal(model.weight, weight) and model.bias.tolist() == [9, 9]
    assert [p.name for p in file.parent.iterdir()] == ["gradual.safetensors"]


def test_another_run_is_refused_and_no_checkpoint_is_none(tmp_path):
    model = nn.Linear(1, 1)
    assert load_phase(tmp_path / "none", model, "key") is None
    save_phase(tmp_path / "a.safetensors", {"weight": model.weight}, "key", [])
    with pytest.raises(
        ValueError, match="of a run with other rows, model, schedule or seed; give those again, or start"
    ):
        load_phase(tmp_path / "a.safetensors", model, "another")


def test_a_kill_while_writing_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    model, file = nn.Linear(1, 1), tmp_path / "a.safetensors"
    save_phase(file, {"weight": model.weight}, "key", [{"phase": "head"}])
    monkeypatch.setattr("kickbert.utils.atomic_files.os.replace", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save_phase(file, {"weight": model.weight}, "key", [{"phase": "head"}, {"phase": "last layer"}])
    assert load_phase(file, model, "key") == [{"phase": "head"}]


def test_digest_sees_values_shapes_and_types():
    one = torch.ones(4)
    seen = [
        digest("a"),
        digest("b"),
        digest([one]),
        digest([one * 2]),
        digest([one.reshape(2, 2)]),
        digest([one.long()]),
    ]
    assert len(set(seen)) == 6 and digest("a", [one]) == digest("a", [torch.ones(4)])
