"""OpenVINO reads a graph from an archive and predicts what ONNX Runtime predicts, also in parallel."""

import multiprocessing
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kickbert.inference.backends.onnx_backend import OnnxBackend
from kickbert.inference.backends.openvino_backend import CONSTANTS, GRAPH, OpenVinoBackend


@pytest.mark.system
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_graph_from_an_archive_predicts_in_parallel(graph, tmp_path):
    openvino = pytest.importorskip("openvino", reason="the extra kickbert[openvino] is not installed")
    model = openvino.Core().read_model(graph[0])
    openvino.save_model(model, tmp_path / GRAPH, compress_to_fp16=False)
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (GRAPH, CONSTANTS):
            archive.write(tmp_path / name, name)
    backend = OpenVinoBackend(path, "openvino", 2)
    # Overwrite freed memory: constants that OpenVINO did not copy would change.
    _ = [np.random.default_rng(i).bytes(path.stat().st_size) for i in range(30)]
    rng = np.random.default_rng(0)
    calls = [(ids, np.ones_like(ids), None) for ids in (rng.integers(5, 60, (1, n)) for n in (3, 6, 9))] * 10
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda inputs: backend(*inputs), calls))
    reference = OnnxBackend(graph[0], "onnx", 2)
    np.testing.assert_allclose(together, [reference(*inputs) for inputs in calls], atol=1e-5)
    if hasattr(os, "fork"):
        path.unlink()  # as a reload of another version would
        child = multiprocessing.get_context("fork").Process(target=backend, args=calls[0])
        child.start()
        child.join(60)
        code = child.exitcode  # None while it hangs
        child.kill()
        assert code == 0
