"""The contract of every backend: calls from several threads return what single calls return."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kickbert.inference.backends.choice import open_backend
from kickbert.inference.backends.onnx_backend import OnnxBackend
from kickbert.models.artifact.reading import read_artifact


@pytest.mark.parametrize("name", ["onnx", "torch"])
def test_parallel_calls_return_the_same(graph, saved, name):
    backend = OnnxBackend(graph[0], "onnx", 2) if name == "onnx" else open_backend(read_artifact(saved), name)
    rng = np.random.default_rng(0)
    ids = [rng.integers(5, 60, (1, n)) for n in (3, 6, 9)] * 10
    calls = [(row, np.ones_like(row), None) for row in ids]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda inputs: backend(*inputs), calls))
    np.testing.assert_array_equal(together, [backend(*inputs) for inputs in calls])
