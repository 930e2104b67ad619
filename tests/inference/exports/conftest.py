"""A saved model to export."""

import shutil

import pytest

from kickbert.inference.exports import exporting


@pytest.fixture
def folder(saved, graph, tmp_path, monkeypatch):
    """A copy of a saved model, to export into, with a graph that was written before."""
    monkeypatch.setattr(exporting, "write_onnx", lambda artifact, model, file: shutil.copy(graph[0], file))
    return shutil.copytree(saved, tmp_path / "k")
