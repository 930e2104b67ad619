"""A learner to an artifact and back: its metadata, its tokens, its weights."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import tiny_tokenizer
from helpers.artifacts import TASKS, reseal
from safetensors.torch import load_file, save_file
from transformers import AutoModel, RobertaConfig

import kickbert
from kickbert import ArtifactError, GradualLearner
from kickbert.models.artifact import read_artifact
from kickbert.models.saving import artifact_metadata, load_classifier


def test_metadata_is_json_and_says_what_was_trained(make, reviews, tmp_path):
    learn = make(reviews, labels=["good", "bad"], cleaning=["remove_html"], head_layers=2)
    learn.fit_one_cycle(1, 1e-3)
    info = artifact_metadata(learn)
    assert json.loads(json.dumps(info)) == info
    assert info["target"]["classes"] == ["good", "bad"] and info["cleaning"] == ["remove_html"]
    head = {"pooling": "cls", "dropout": 0.1, "layers": 2, "ordinal": False, "activation": "relu", "normalize": False}
    assert info["head"] == head and set(info["metrics"]) == {"train_loss", "valid_loss", "accuracy", "macro-F1"}
    assert info["data"]["training rows"] == 102 and info["judged on"] == "18 validation rows"
    again = artifact_metadata(make(reviews.assign(text=reviews["text"].str.upper())))
    assert info["data"]["fingerprint"] != again["data"]["fingerprint"]


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_a_classifier_is_loaded_as_it_was(make, reviews, tmp_path, activation):
    learn = make(reviews, head_layers=2)
    learn.model.head.activation = activation
    artifact = read_artifact(learn.save_artifact(tmp_path / "k"))
    loaded = load_classifier(artifact)
    assert loaded.head.activation == activation and not loaded.training
    for (name, one), two in zip(learn.model.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
    assert load_file(artifact.file("head.safetensors")).keys() == loaded.head.state_dict().keys()


def test_added_special_tokens_are_whole_in_learner_and_predictor(reviews, tmp_path):
    hf = tiny_tokenizer()
    hf.add_special_tokens({"additional_special_tokens": ["<user>"]})
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = RobertaConfig(vocab_size=len(hf), max_position_embeddings=66, pad_token_id=1, **size)
    AutoModel.from_config(config).save_pretrained(tmp_path / "m")
    hf.save_pretrained(tmp_path / "m")
    learn = kickbert.learner_from_df(reviews, model=tmp_path / "m", precision="fp32", path=tmp_path)
    predictor = kickbert.load(learn.save_artifact(tmp_path / "k"), backend="torch")
    text = "a <user> said </s> it was fun"
    for encoder in (learn.dls.tokenizer.token_encoder, predictor.token_encoder):
        ids = encoder.encode_batch([text])[0][0].tolist()
        assert ids.count(hf.convert_tokens_to_ids("<user>")) == 1 and ids.count(hf.eos_token_id) == 1
    assert learn.predict_proba([text]) == pytest.approx(predictor.predict_proba([text]), abs=1e-5)


@pytest.mark.parametrize("how", TASKS)
def test_a_predictor_says_what_the_learner_says(trained, rows, tmp_path, how):
    learn = trained(how)
    model = kickbert.load(learn.save_artifact(tmp_path / "k"), backend="torch")
    rows = pd.concat([rows.sample(40, random_state=1), rows.head(1).assign(text=None, more=None)])
    with pytest.warns(UserWarning, match="no text"):
        ours, theirs = model.predict_df(rows), learn.predict_df(rows)
    pd.testing.assert_frame_equal(ours, theirs, atol=1e-5, check_dtype=False)
    given = rows.iloc[:-1]
    key = {"several": "labels", "columns": "labels", "number": "value"}.get(how, "label")
    said = model.predict(given)
    assert said == ours[key].iloc[:-1].tolist() and model.predict([]) == []


def test_training_goes_on(trained, rows, tmp_path):
    learn = trained("several")
    learn.loss_func.temperature = 1.5
    folder = learn.save_artifact(tmp_path / "k")
    rows = pd.concat([rows, rows.head(3).assign(tags=[["new"]] * 3)], ignore_index=True)
    with pytest.warns(UserWarning, match="never saw"):
        again = GradualLearner.from_artifact(folder, rows, precision="fp32", path=tmp_path, bs=16)
    assert again.loss_func.temperature == 1.5 and again.dls.target == learn.dls.target
    np.testing.assert_allclose(again.loss_func.thresh, learn.loss_func.thresh)
    for (name, one), two in zip(learn.model.state_dict().items(), again.model.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
    again.fit_gradual()
    assert kickbert.load(again.save_artifact(tmp_path / "k")).artifact.version == "v2"


def test_rows_of_unknown_classes_are_left_out_when_training_goes_on(trained, rows, tmp_path):
    folder = trained().save_artifact(tmp_path / "k")
    with pytest.warns(UserWarning, match="3 rows have a label that training never saw"):
        again = GradualLearner.from_artifact(folder, pd.concat([rows, rows.head(3).assign(label="new")]), path=tmp_path)
    assert len(again.dls.train_ds) + len(again.dls.valid_ds) == len(rows)


@pytest.mark.parametrize("file", ["model.safetensors", "head.safetensors"])
@pytest.mark.parametrize("harm", ["lacks a tensor", "another shape", "no safetensors"])
def test_sealed_weights_that_are_not_whole(saved, file, harm):
    tensors = load_file(saved / file)
    name = sorted(tensors)[-1]
    tensors[name] = tensors[name].repeat(2, *[1] * (tensors[name].dim() - 1))
    if harm == "lacks a tensor":
        del tensors[name]
    if harm == "no safetensors":
        (saved / file).write_bytes(b"\xff" * 100)
    else:
        save_file(tensors, saved / file, metadata={"format": "pt"})
    reseal(saved)
    with pytest.raises(ArtifactError, match=rf"{file} holds what cannot be used \("):
        kickbert.load(saved, backend="torch")


def test_a_full_disk_changes_nothing(trained, tmp_path, monkeypatch):
    learn, home = trained(), tmp_path / "k"
    learn.save_artifact(home)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kickbert.models.saving.save_file", full)
    with pytest.raises(ArtifactError, match=r"No space left on device.*nothing was changed"):
        learn.save_artifact(home)
    assert sorted(p.name for p in home.iterdir()) == ["latest", "v1"]


def test_classes_that_json_cannot_hold(make, reviews, tmp_path):
    dates = {"good": pd.Timestamp("2020-01-01"), "bad": pd.Timestamp("2021-01-01")}
    learn = make(reviews.assign(label=reviews["label"].map(dates).astype(object)))
    with pytest.raises(ValueError, match="make the labels strings"):
        learn.save_artifact(tmp_path / "k")
