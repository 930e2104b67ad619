"""Several models at once predict as each does by itself, and run what they share once."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import BAD, GOOD

import kickbert
from kickbert import ArtifactError, Phase
from kickbert.models.artifact.reading import read_artifact

TEXTS = [f"{text} no {i} {'and so on ' * (i % 5)}" for i, text in enumerate(6 * (GOOD + BAD))] + ["", GOOD[0]]
LAST = [Phase("last layer", 2, 1, 5e-3)]


def deep(folder, tokenizer) -> str:
    """An encoder of four layers with a first token's pooling of its own, in a folder."""
    from transformers import RobertaConfig, RobertaModel

    torch.manual_seed(1)
    size = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
    ids = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "max_position_embeddings": 66}
    RobertaModel(RobertaConfig(vocab_size=len(tokenizer), **size, **ids)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tiny_tok, tiny):
    """Models by name, of one encoder of four layers but for `other`, which is of another encoder."""
    home = tmp_path_factory.mktemp("many")
    base = deep(home / "base", tiny_tok)
    df = pd.DataFrame({"text": TEXTS[:60], "label": [5 * ["good"] + 5 * ["bad"]][0] * 6, "amount": range(60)})
    df["tags"] = [["x", label] if i % 3 else [] for i, label in enumerate(df["label"])]
    windows = {"long": "windows", "max_length": 16, "stride": 4}
    ways = {
        "last": ({}, 4),
        "deeper": ({"label_col": "amount", "bins": 3, "pooling": "mean"}, 2),
        "head": ({"label_col": "tags"}, 5),
        "number": ({"label_col": "amount", "task": "regression", "head_layers": 2}, 5),
        "all": ({}, 0),
        "upper case": ({"cleaning": ["convert_to_lowercase"]}, 4),
        "windows": (windows, 4),
        "more windows": ({**windows, "pooling": "mean"}, 3),
        "other": ({"model": tiny}, 1),
    }
    saved = {}
    for name, (how, freeze_to) in ways.items():
        learn = kickbert.learner_from_df(df, **{"model": base, "precision": "fp32", "path": home, "bs": 16, **how})
        learn.fit_gradual([Phase(name, freeze_to, 1, 5e-3)])
        saved[name] = learn.save_artifact(home / name.replace(" ", "-"))
    return saved


def test_each_model_predicts_as_it_does_by_itself(folders):
    many = kickbert.load_many(folders)
    labels, probs = many.predict(TEXTS), many.predict_proba(TEXTS)
    with pytest.warns(UserWarning, match="1 rows have no text"):
        table = many.predict_df(df := pd.DataFrame({"text": TEXTS}, index=range(7, 7 + len(TEXTS))))
    assert list(labels) == list(probs) == list(folders)
    for name, folder in folders.items():
        alone = kickbert.load(folder, backend="torch")
        np.testing.assert_allclose(probs[name], alone.predict_proba(TEXTS), rtol=0, atol=1e-5)
        if name == "number":
            np.testing.assert_allclose(labels[name][:-2], alone.predict(TEXTS)[:-2], rtol=1e-5)
        else:
            assert labels[name] == alone.predict(TEXTS) and labels[name][-2] is None
        with pytest.warns(UserWarning, match="1 rows have no text"):
            expected = alone.predict_df(df).add_prefix(f"{name}_")
        pd.testing.assert_frame_equal(table[list(expected)], expected, rtol=1e-4, atol=1e-5)
    assert sum(len(model.predict_df(df[:3]).columns) for model in many.models.values()) == len(table.columns)


def test_what_is_shared_is_found_in_the_weights(folders):
    many = kickbert.load_many(folders)
    table = many.shared.set_index("model")
    assert table["layers"].tolist() == [4] * 8 + [2]
    # freeze_to counts the embeddings: of 4 three layers are as they were
    assert table["shared layers"].to_dict() == {
        "last": 3, "deeper": 1, "head": 4, "number": 4, "all": 0, "upper case": 0, "windows": 2, "more windows": 2,
        "other": 0,
    }  # fmt: skip
    assert table["shared with"].tolist()[:5] == ["head, number", "last, head, number", "number", "head", ""]
    assert table["shared with"].tolist()[5:] == ["", "more windows", "windows", ""]
    assert "last          3 of 4 layers shared with head, number" in repr(many)


def test_a_shared_layer_runs_once_for_a_batch_and_is_held_once(folders, monkeypatch):
    names = ["last", "deeper", "head", "number", "all"]
    many = kickbert.load_many({name: folders[name] for name in names})
    layer, calls = type(many.models["last"].backend.model.encoder.layers[0]), []
    forward = layer.forward
    monkeypatch.setattr(layer, "forward", lambda self, *a, **k: calls.append(self) or forward(self, *a, **k))
    many.predict(TEXTS[:5])
    # once: layer 1; of `last`, `head` and `number` layers 2 and 3, and 4 of both; of `deeper` three; of `all` four
    assert len(calls) == 1 + 2 + 2 + 3 + 4
    calls.clear()
    for model in many.models.values():
        model.predict(TEXTS[:5])
    assert len(calls) == 20
    encoders = [many.models[name].backend.model.encoder for name in ("last", "head", "all")]
    places = [[p.data_ptr() for p in encoder.layers[2].parameters()] for encoder in encoders]
    assert places[0] == places[1] != places[2]


def test_one_text_and_no_text_at_all(folders):
    many = kickbert.load_many([folders["last"], str(folders["head"])])
    assert many.predict(GOOD[0]) == {
        name: kickbert.load(folders[name], backend="torch").predict(GOOD[0]) for name in ("last", "head")
    }
    assert many.predict([]) == {"last": [], "head": []}


def test_what_cannot_be_loaded_together_says_why(folders, tmp_path):
    with pytest.raises(ValueError, match="folders is empty; give the folders of some models"):
        kickbert.load_many([])
    with pytest.raises(ValueError, match=r"several models are named 'last'; give names"):
        kickbert.load_many([folders["last"], folders["last"].parent])
    with pytest.raises(ArtifactError, match=re.escape(f"{tmp_path} is not an artifact: it has no manifest.json")):
        kickbert.load_many([folders["last"], tmp_path])
    assert (
        json.loads((folders["last"] / "manifest.json").read_text())["files"] == read_artifact(folders["last"]).manifest
    )
