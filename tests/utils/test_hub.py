"""Models are loaded from a folder or the Hub's cache; errors give the reason in one line."""

import shutil
import sys
from types import SimpleNamespace

import httpx
import pytest
from huggingface_hub import errors
from transformers import AutoConfig, AutoModel

from kickbert.models.encoder import load_encoder
from kickbert.utils import hub

REQUEST = httpx.Response(403, request=httpx.Request("GET", "https://huggingface.co"))


def test_folders_without_a_model(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"without a config.json \(it contains \['notes.txt'\]\)\. Give a folder"):
        hub.resolve(tmp_path)
    with pytest.raises(ValueError, match=r"Folder not found: model='./nowhere'\. Give an existing folder, a Hub id"):
        hub.resolve("./nowhere")
    AutoConfig.for_model("bert").save_pretrained(tmp_path)
    with pytest.raises(hub.UnavailableModel, match=r"is a folder that cannot be read \(.*Write it again with save_pre"):
        hub.load(AutoModel.from_pretrained, tmp_path)


def test_a_model_that_is_not_cached_is_not_available_offline():
    with pytest.raises(ValueError, match=r"huggingface.co is not reachable.*Give a Hub id, a folder .* model='minilm'"):
        load_encoder("roberta-base-that-is-not-in-the-cache")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.GatedRepoError("403", response=REQUEST), "access is restricted; request it on the model's page"),
        (errors.RepositoryNotFoundError("404", response=REQUEST), "the Hub has no such model, or it is private"),
        (errors.LocalEntryNotFoundError("x"), "huggingface.co is not reachable, and the model is not in the local"),
        (OSError("disk\nfull"), "OSError: disk"),
    ],
)
def test_the_reason_is_given_in_one_line(error, message):
    def loader(name, **options):
        raise OSError("a long explanation") from error

    with pytest.raises(hub.UnavailableModel) as caught:
        hub.load(loader if type(error) is not OSError else lambda *_, **__: (_ for _ in ()).throw(error), "no/model")
    assert f"model='no/model' is not available: {message}" in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ and caught.value.__cause__ is None


def test_offline_only_the_cache_is_read(monkeypatch):
    def unreachable(url, timeout):
        assert url.startswith("https://") and timeout <= 10
        raise httpx.ConnectError("no route to host")

    calls = []
    monkeypatch.setattr("huggingface_hub.utils.get_session", lambda: SimpleNamespace(head=unreachable))
    hub.load(lambda name, **options: calls.append(options), "no/model")
    assert calls == [{"local_files_only": True, "trust_remote_code": False}]
    answering = SimpleNamespace(head=lambda url, timeout: httpx.Response(404))  # such as a mirror without a front page
    monkeypatch.setattr("huggingface_hub.utils.get_session", lambda: answering)
    assert not hub.offline()


def test_a_hub_model_is_read_from_its_cache(tiny, tmp_path):
    commit = "0" * 40
    repo = tmp_path / "models--someone--tiny"  # the Hub's own layout
    shutil.copytree(tiny, repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    body = hub.load(AutoModel.from_pretrained, "someone/tiny", cache_dir=tmp_path)
    assert body.config.num_hidden_layers == 2


def test_the_error_of_a_missing_extra_names_what_to_install(monkeypatch):
    hub.minilm_folder.cache_clear()
    monkeypatch.setattr(hub, "MINILM_PACKAGE", "not_there_at_all")
    with pytest.raises(ImportError, match=r'pip install "kickbert\[minilm\]"'):
        hub.minilm_folder()


@pytest.mark.system
def test_minilm_is_verified_without_importing_its_package(minilm, monkeypatch):
    monkeypatch.delitem(sys.modules, hub.MINILM_PACKAGE, raising=False)
    hub.minilm_folder.cache_clear()
    assert (hub.minilm_folder() / "config.json").exists() and hub.MINILM_PACKAGE not in sys.modules
    hub.minilm_folder.cache_clear()
    monkeypatch.setattr(hub, "MINILM_SHA256", "0" * 64)
    with pytest.raises(ValueError, match="not the published 0000"):
        hub.minilm_folder()
    hub.minilm_folder.cache_clear()
