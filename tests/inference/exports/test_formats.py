"""The graph in a file is the whole model, for any number of rows and tokens; failures are one sentence."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kickbert.inference.backends.choice import open_export
from kickbert.inference.backends.torch_backend import TorchBackend
from kickbert.inference.exports.formats import FORMATS, Source
from kickbert.models.artifact.loading import load_network
from kickbert.models.artifact.reading import read_artifact

onnx = pytest.importorskip("onnx", reason="the extra kickbert[export] is not installed")
pytest.importorskip("onnxruntime")
IDS = np.array([[0, 20, 21, 22, 2, 1], [0, 9, 2, 1, 1, 1], [0, 7, 8, 9, 10, 2]])
MASK = (IDS != 1).astype(np.int64)


@pytest.fixture(scope="module")
def reference(saved):
    return TorchBackend(load_network(read_artifact(saved)))


@pytest.fixture
def write(graph, reference, tmp_path):
    """Write a format of the model; the path."""
    rows = [(IDS[i : i + 1], MASK[i : i + 1]) for i in range(len(IDS))]

    def write_format(name):
        file, writer = FORMATS[name]
        source = Source(reference.model, windows=False, inputs=lambda: rows)
        source.graph = onnx.ModelProto.FromString(graph[1].SerializeToString())
        writer(source, tmp_path / file)
        return tmp_path / file

    return write_format


@pytest.mark.parametrize(
    ("name", "atol"),
    [
        ("onnx", 1e-5),
        ("onnx-fp16", 0.01),
        ("onnx-int8", 0.1),
        pytest.param("openvino-int8", 0.1, marks=pytest.mark.system),
    ],
)
def test_probabilities_are_those_of_pytorch(write, reference, name, atol):
    if name.startswith("openvino"):
        pytest.importorskip("nncf", reason="the extra kickbert[openvino] is not installed")
    path = write(name)
    backend = open_export(path, name, 2)
    # Overwrite freed memory: constants that OpenVINO did not copy would change.
    _ = [np.random.default_rng(i).bytes(path.stat().st_size) for i in range(30)]
    for rows, tokens in ((3, 6), (1, 6), (1, 3)):
        inputs = IDS[:rows, :tokens], MASK[:rows, :tokens], None
        probs = backend(*inputs)
        assert probs.dtype == np.float32 and probs.shape == (rows, 2)
        np.testing.assert_allclose(probs, reference(*inputs), atol=atol)
    with ThreadPoolExecutor(2) as pool:
        one_by_one = [(IDS[i : i + 1], MASK[i : i + 1], None) for i in range(3)] * 20
        together = list(pool.map(lambda inputs: backend(*inputs), one_by_one))
    np.testing.assert_allclose(together, [backend(*inputs) for inputs in one_by_one], atol=1e-6)


def test_int8_has_one_scale_per_column(write):
    quantized = onnx.load(write("onnx-int8")).graph
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in quantized.initializer}
    matrices = [w for w in weights.values() if w.dtype == np.int8 and w.ndim == 2 and min(w.shape) > 2]
    assert matrices and max(np.abs(w.astype(int)).max() for w in matrices) <= 64  # seven bits
    columns = {w.shape[1] for w in matrices}
    scales = [w for w in weights.values() if w.dtype == np.float32 and w.size in columns and (w > 0).all()]
    assert len(scales) >= len(columns)
