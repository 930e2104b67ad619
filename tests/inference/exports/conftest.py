"""A saved model to export."""

import shutil

import numpy as np
import pytest

import kickbert
from kickbert.inference.exports import formats


@pytest.fixture
def folder(saved, graph, tmp_path, monkeypatch):
    """A copy of a saved model, to export into, with a graph that was written before."""
    monkeypatch.setattr(formats, "write_onnx", lambda model, windows, file: shutil.copy(graph[0], file))
    return shutil.copytree(saved, tmp_path / "k")


@pytest.fixture
def check_backend():
    """A function that compares a backend with PyTorch on short, long and repeated texts, one by one and together."""

    def check(folder, backend: str, atol: float, rows) -> None:
        torch, exported = (kickbert.load(folder, backend=name) for name in ("torch", backend))
        texts = ["a", *rows["text"].sample(20, random_state=0), "a long and winding story " * 30]
        probs = exported.predict_proba(texts)
        np.testing.assert_allclose(probs, torch.predict_proba(texts), atol=atol)
        np.testing.assert_allclose(exported.predict_proba(texts, batch_size=1), probs, atol=1e-3)

    return check
