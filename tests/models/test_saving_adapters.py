"""An artifact of an adapter and a head alone: its encoder comes from where it came from, and must be the same."""

import json
import shutil

import numpy as np
import pytest
import torch
from helpers.artifacts import reseal
from safetensors.torch import load_file, save_file

pytest.importorskip("peft", reason="the extra kickbert[lora] is not installed")
import peft

import kickbert
from kickbert import ArtifactError, GradualLearner
from kickbert.models.artifact import FORMAT, WEIGHTS, read_artifact
from kickbert.models.saving import load_classifier


@pytest.fixture
def base(tiny, tmp_path):
    """A folder of the tiny encoder that may be changed."""
    return shutil.copytree(tiny, tmp_path / "base")


@pytest.fixture
def learn(make, pairs, base):
    learn = make(pairs, adapter="lora", model=base, text_col=["text", "more"])
    learn.fit_one_cycle(2, 2e-2)
    return learn


def test_it_predicts_as_the_learner_and_the_whole_artifact_do_in_a_fraction_of_the_bytes(learn, pairs, tmp_path):
    whole, small = learn.save_artifact(tmp_path / "k"), learn.save_artifact(tmp_path / "k", adapter_only=True)
    size = {folder: sum(p.stat().st_size for p in folder.glob("*.safetensors")) for folder in (whole, small)}
    assert size[small] < 0.5 * size[whole] and WEIGHTS not in read_artifact(small)
    assert json.loads((small / "manifest.json").read_text())["format"] == FORMAT == 3
    probs = [kickbert.load(folder, backend="torch").predict_proba(pairs) for folder in (whole, small)]
    assert np.array_equal(*probs)
    np.testing.assert_allclose(probs[1], learn.predict_proba(pairs), atol=1e-5)
    assert not any("lora_" in name for name in load_classifier(read_artifact(small)).state_dict())
    card = read_artifact(small).card
    assert "It is an adapter of" in card and "pipeline_class" not in card


def test_a_learner_goes_on_with_the_merged_weights(learn, pairs, tmp_path):
    folder = learn.save_artifact(tmp_path / "k", adapter_only=True)
    again = GradualLearner.from_artifact(folder, pairs, precision="fp32", path=tmp_path)
    assert again.groups["parameters"].iloc[0] > 0
    np.testing.assert_allclose(again.predict_proba(pairs), learn.predict_proba(pairs), atol=1e-5)
    again.fit_one_cycle(1, 1e-4)
    with pytest.raises(ValueError, match="adapter_only=True needs a learner with an adapter"):
        again.save_artifact(tmp_path / "k", adapter_only=True)


def test_peft_reads_the_adapter(learn, base, tmp_path):
    from transformers import AutoModel

    folder = learn.save_artifact(tmp_path / "k", adapter_only=True)
    theirs = peft.PeftModel.from_pretrained(AutoModel.from_pretrained(base), folder).eval()
    ids = torch.arange(5, 25).reshape(2, 10)
    with torch.no_grad():
        expected = learn.model.eval().encoder(ids, torch.ones_like(ids, dtype=torch.bool))
        torch.testing.assert_close(theirs(ids)[0], expected, rtol=1e-5, atol=1e-5)


def test_it_is_exported_through_what_it_loads(learn, pairs, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
    folder = learn.save_artifact(tmp_path / "k", adapter_only=True)
    assert kickbert.export(folder, pairs, ("onnx",))["difference"].iloc[0] < 1e-4
    assert kickbert.load(folder, backend="onnx").predict(pairs) == learn.predict_df(pairs)["label"].tolist()


def changed_base(base):
    weights = load_file(base / WEIGHTS)
    weights["encoder.layer.0.output.dense.bias"] = weights["encoder.layer.0.output.dense.bias"] + 1e-6
    (base / WEIGHTS).unlink()  # safetensors 0.5 reads a loaded model's weights from the file itself
    save_file(weights, base / WEIGHTS, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(changed_base, "are not those that the adapter was trained beside"), (shutil.rmtree, "cannot be loaded")],
)
def test_another_encoder_or_none_is_refused(learn, pairs, base, tmp_path, spoil, reason):
    folder = learn.save_artifact(tmp_path / "k", adapter_only=True)
    spoil(base)
    with pytest.raises(ArtifactError, match=f"base.* {reason}.*; put it back, or save the model again"):
        kickbert.load(folder, backend="torch")
    with pytest.raises(ArtifactError, match=f"base.* {reason}.*; it is not saved: adapter_only=False"):
        learn.save_artifact(tmp_path / "k", adapter_only=True)
    assert [p.name for p in (tmp_path / "k").glob("v*")] == ["v1"]
    kickbert.load(learn.save_artifact(tmp_path / "whole"), backend="torch").predict_proba(pairs)


def test_a_changed_or_foreign_adapter_is_refused(learn, tmp_path):
    folder = learn.save_artifact(tmp_path / "k", adapter_only=True)
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    weights.pop(next(iter(weights)))
    save_file(weights, file)
    with pytest.raises(ArtifactError, match="was cut short or changed"):
        kickbert.load(folder, backend="torch")
    reseal(folder)
    with pytest.raises(ArtifactError, match=r"adapter_model\.safetensors and the adapter differ in"):
        kickbert.load(folder, backend="torch")


def test_without_peft_it_names_the_extra(learn, tmp_path, monkeypatch):
    folder = learn.save_artifact(tmp_path / "k", adapter_only=True)
    from kickbert.utils import extras

    found = extras.importlib.util.find_spec
    monkeypatch.setattr(
        extras.importlib.util, "find_spec", lambda name, *a: None if name == "peft" else found(name, *a)
    )
    with pytest.raises(ImportError, match=r'pip install "kickbert\[lora\]"'):
        kickbert.load(folder, backend="torch")


def test_an_adapter_alone_is_no_encoder_to_begin_with(learn, make, pairs, tmp_path):
    folder = learn.save_artifact(tmp_path / "k", adapter_only=True)
    with pytest.raises(ValueError, match=r"is a folder without a config\.json"):
        make(pairs, model=folder)
