"""Artifacts on a stand-in for the Hub: pushed with a token, loaded by name, and from the cache when offline."""

import numpy as np
import pytest
from helpers.hub_server import TOKEN, serving
from huggingface_hub import constants

import kickbert
from kickbert.models import ArtifactError, push_to_hub

pytestmark = pytest.mark.system


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The stand-in's repositories: by name, the bytes of each file."""
    with serving() as (server, address):
        for name, value in {
            "ENDPOINT": address,
            "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_HUB_OFFLINE": False,
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
        yield server.repositories


def test_what_is_pushed_is_loaded_by_its_name(make, reviews, hub, monkeypatch, tmp_path):
    learn = make(reviews)
    learn.fit_one_cycle(1, 4e-3)
    address = learn.push_to_hub("someone/reviews", token=TOKEN)
    assert address.endswith("/someone/reviews")
    files = hub["someone/reviews"]
    assert {"kickbert.json", "manifest.json", "model.safetensors", "README.md"} < set(files)
    files["tokens_of_a_version_before.json"], files["notes.md"] = b"{}", b"of its owner"
    push_to_hub(learn.save_artifact(tmp_path / "k"), "someone/reviews", token=TOKEN, message="again")
    assert "tokens_of_a_version_before.json" not in files and files["notes.md"] == b"of its owner"
    model = kickbert.load("someone/reviews", backend="torch")
    np.testing.assert_allclose(model.predict_proba(reviews), learn.predict_proba(reviews), atol=1e-5)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    again = kickbert.load("someone/reviews", backend="torch")
    assert again.predict(["a bright, warm film"]) == model.predict(["a bright, warm film"])


def test_the_hub_refuses_in_a_sentence(make, reviews, hub, tmp_path):
    learn = make(reviews)
    with pytest.raises(ValueError, match=r"'someone/reviews' was not uploaded \(.*token= with write access"):
        learn.push_to_hub("someone/reviews")
    with pytest.raises(
        ArtifactError,
        match=r"someone/none is not a local folder, .*the Hub has no such model",
    ):
        kickbert.load("someone/none")
    hub["someone/else"] = {"config.json": b"{}"}
    with pytest.raises(ArtifactError, match=r"someone/else is not a local folder, and no such model was found"):
        kickbert.load("someone/else")
    (learn.save_artifact(tmp_path / "k") / "head.safetensors").write_bytes(b"changed")
    with pytest.raises(ArtifactError, match=r"head\.safetensors has 7 bytes"):
        push_to_hub(tmp_path / "k", "someone/reviews", token=TOKEN)
    assert "someone/reviews" not in hub
