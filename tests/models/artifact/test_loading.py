"""A classifier is loaded as it was saved."""

import pytest
import torch
from helpers.artifacts import reseal
from safetensors.torch import load_file, save_file

import kickbert
from kickbert import ArtifactError
from kickbert.models.artifact.loading import load_classifier
from kickbert.models.artifact.reading import read_artifact


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_classifier_is_loaded_as_it_was(make, reviews, tmp_path, activation):
    learn = make(reviews, head_layers=2)
    learn.model.head.activation = activation
    artifact = read_artifact(learn.save_artifact(tmp_path / "k"))
    loaded = load_classifier(artifact)
    assert loaded.head.activation == activation and not loaded.training
    for (name, one), two in zip(learn.model.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
    assert load_file(artifact.file("head.safetensors")).keys() == loaded.head.state_dict().keys()


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model.safetensors", "missing tensor"),
        ("model.safetensors", "other shape"),
        ("head.safetensors", "not safetensors"),
        ("head.safetensors", "missing tensor"),
    ],
)
def test_incomplete_weights_are_refused(saved, file, damage):
    tensors = load_file(saved / file)
    name = sorted(tensors)[-1]
    tensors[name] = tensors[name].repeat(2, *[1] * (tensors[name].dim() - 1))
    if damage == "missing tensor":
        del tensors[name]
    if damage == "not safetensors":
        (saved / file).write_bytes(b"\xff" * 100)
    else:
        save_file(tensors, saved / file, metadata={"format": "pt"})
    reseal(saved)
    with pytest.raises(ArtifactError, match=rf"{file} cannot be used \("):
        kickbert.load(saved, backend="torch")
