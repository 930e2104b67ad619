"""Backends: the same probabilities from each, whatever the padding and the thread."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kickbert.inference.backends.choice import open_backend
from kickbert.inference.backends.onnx_backend import OnnxBackend
from kickbert.models.artifact.reading import read_artifact


def test_padding_does_not_change_probabilities_of_torch(saved):
    backend = open_backend(read_artifact(saved), "torch")
    ids = np.array([[0, 20, 21, 2]])
    mask = np.ones((1, 4), dtype=np.int64)
    probs = backend(ids, mask, None)
    padded = backend(np.pad(ids, ((0, 0), (0, 3)), constant_values=1), np.pad(mask, ((0, 0), (0, 3))), None)
    assert probs.shape == (1, 2) and probs.dtype == np.float32
    np.testing.assert_allclose(padded, probs, atol=1e-6)
    half = open_backend(read_artifact(saved), "torch-bf16")(ids, mask, None)
    assert half.dtype == np.float32 and 0 < np.abs(half - probs).max() < 0.05


def test_onnx_runs_on_the_cpu_unless_asked(graph):
    path, _ = graph
    backend = OnnxBackend(path, "onnx", 3)
    assert backend.session.get_providers() == ["CPUExecutionProvider"] and backend.workers == 3
    with pytest.raises(ValueError, match="NoExecutionProvider is not one of"):
        OnnxBackend(path, "onnx", providers=["NoExecutionProvider"])


def test_calls_in_parallel_are_the_same(graph):
    backend = OnnxBackend(graph[0], "onnx", 2)
    rng = np.random.default_rng(0)
    ids = [rng.integers(5, 60, (1, n)) for n in (3, 6, 9)] * 10
    calls = [(row, np.ones_like(row), None) for row in ids]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda inputs: backend(*inputs), calls))
    np.testing.assert_array_equal(together, [backend(*inputs) for inputs in calls])
