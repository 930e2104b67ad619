"""ONNX Runtime uses the CPU unless another provider is requested, and never falls back silently."""

import pytest

from kickbert.inference.backends.onnx_backend import OnnxBackend


def test_onnx_runs_on_the_cpu_by_default(graph):
    path, _ = graph
    backend = OnnxBackend(path, "onnx", 3)
    assert backend.session.get_providers() == ["CPUExecutionProvider"] and backend.workers == 3
    with pytest.raises(ValueError, match="NoExecutionProvider is not one of"):
        OnnxBackend(path, "onnx", providers=["NoExecutionProvider"])
