"""Two artifacts share a pass if their encoders, token ids and cleaning are equal, whatever their heads are."""

import json

import pytest
import torch
from helpers.artifacts import reseal

from kickbert import ArtifactError
from kickbert.models.artifact.reading import read_artifact
from kickbert.models.artifact.shared_encoder import encoder_differences


@pytest.fixture
def save(make, reviews, tmp_path):
    """Save an untrained model with these options, and read it."""

    def save_model(name: str, change=lambda model: None, **options):
        learn = make(reviews.assign(more="and more"), **options)
        change(learn.model)
        return read_artifact(learn.save_artifact(tmp_path / name))

    return save_model


def test_heads_may_differ(save):
    plain = save("plain")  # its file of weights contains the head, under transformers' names
    others = [
        save("side", lambda model: model.use_side(True)),
        save("mean", pooling="mean", head_layers=2),
        save("another head"),
    ]
    assert plain.metadata["plain transformers"] and not others[0].metadata["plain transformers"]
    assert plain.manifest["model.safetensors"] != others[0].manifest["model.safetensors"]
    assert [encoder_differences(plain, other) for other in others] == [[], [], []]
    assert encoder_differences(others[0], others[1]) == []


def test_anything_else_is_named(save):
    first = save("first", max_length=16)
    assert encoder_differences(first, save("longer", max_length=24)) == ["max_length (16 and 24)"]
    differences = encoder_differences(first, save("two", text_col=["text", "more"], cleaning="auto", max_length=16))
    assert differences[0] == "text_col (['text'] and ['text', 'more'])" and "cleaning (None and [" in differences[1]
    assert "long (truncate and tail)" in encoder_differences(first, save("tail", max_length=16, long="tail"))

    @torch.no_grad()
    def train(model):
        next(model.encoder.layers[1].parameters()).add_(1e-3)

    assert encoder_differences(first, save("trained", train, max_length=16)) == ["weights"]


def test_another_tokenizer(save):
    first, other = save("first"), save("other")
    file = other.folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["normalizer"] = {"type": "Lowercase"}
    file.write_text(json.dumps(content))
    reseal(other.folder)
    assert encoder_differences(first, read_artifact(other.folder)) == ["tokenizer"]


def test_without_weights_nothing_can_be_compared(save):
    first, other = save("first"), save("other", pooling="mean")
    (other.folder / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"model\.safetensors is missing"):
        encoder_differences(first, other)
    reseal(other.folder)
    with pytest.raises(ArtifactError, match=r"has no model\.safetensors"):
        encoder_differences(first, read_artifact(other.folder))
