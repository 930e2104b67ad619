"""A learner to an artifact and back: its metadata, its tokens, its weights."""

import json

import pytest
import torch
from conftest import tiny_tokenizer
from safetensors.torch import load_file
from transformers import AutoModel, RobertaConfig

import kickbert
from kickbert.models.artifact import read_artifact
from kickbert.models.saving import artifact_metadata, load_classifier


def test_metadata_is_json_and_says_what_was_trained(make, reviews, tmp_path):
    learn = make(reviews, labels=["good", "bad"], cleaning=["remove_html"], head_layers=2)
    learn.fit_one_cycle(1, 1e-3)
    info = artifact_metadata(learn)
    assert json.loads(json.dumps(info)) == info
    assert info["target"]["classes"] == ["good", "bad"] and info["cleaning"] == ["remove_html"]
    head = {"pooling": "cls", "dropout": 0.1, "layers": 2, "ordinal": False, "activation": "relu"}
    assert info["head"] == head and set(info["metrics"]) == {"train_loss", "valid_loss", "accuracy", "f1_score"}
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
