"""The graph in a file is the whole model, of any number of rows and tokens; what fails says so in a sentence."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from kickbert import ArtifactError
from kickbert.inference import onnx_graphs
from kickbert.inference.backends import OnnxBackend, OpenVinoBackend, open_backend
from kickbert.inference.onnx_graphs import FORMS, Source, write_onnx
from kickbert.models.artifact.reading import read_artifact

pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
IDS = np.array([[0, 20, 21, 22, 2, 1], [0, 9, 2, 1, 1, 1], [0, 7, 8, 9, 10, 2]])
MASK = (IDS != 1).astype(np.int64)


@pytest.fixture(scope="module")
def artifact(served):
    return read_artifact(served / "one")


@pytest.fixture(scope="module")
def graph(artifact, tmp_path_factory):
    """The artifact's model in ONNX, fp32."""
    import onnx

    file = tmp_path_factory.mktemp("graph") / "model.onnx"
    write_onnx(artifact, file)
    model = onnx.load(file)
    del model.graph.value_info[:]
    return model


def source(artifact, graph):
    """What forms are written from: a copy of the graph, and some rows."""
    import onnx

    rows = [(IDS[i : i + 1], MASK[i : i + 1]) for i in range(len(IDS))]
    return Source(artifact, onnx.ModelProto.FromString(graph.SerializeToString()), lambda: rows)


@pytest.mark.parametrize(("form", "atol"), [("onnx", 1e-5), ("onnx-fp16", 0.01), ("onnx-int8", 0.1)])
def test_a_graph_gives_the_probabilities_of_torch(artifact, graph, tmp_path, form, atol):

    name, write = FORMS[form]
    write(source(artifact, graph), tmp_path / name)
    backend, torch_backend = OnnxBackend(tmp_path / name, form, 1), open_backend(artifact, "torch")
    assert backend.inputs == ["input_ids", "attention_mask"]
    for rows, tokens in ((3, 6), (1, 6), (1, 3)):
        inputs = IDS[:rows, :tokens], MASK[:rows, :tokens], None
        probs = backend(*inputs)
        assert probs.dtype == np.float32 and probs.shape == (rows, 2)
        np.testing.assert_allclose(probs, torch_backend(*inputs), atol=atol)


def test_openvino_gives_the_probabilities_of_torch(artifact, graph, tmp_path):
    pytest.importorskip("nncf", reason="the extra kickbert[openvino] is not installed")
    name, write = FORMS["openvino-int8"]
    write(source(artifact, graph), tmp_path / name)
    backend, torch_backend = OpenVinoBackend(tmp_path / name, "openvino-int8", 2), open_backend(artifact, "torch")
    _ = [np.random.default_rng(i).bytes((tmp_path / name).stat().st_size) for i in range(30)]  # into what is free again
    for rows, tokens in ((3, 6), (1, 6), (1, 3)):
        inputs = IDS[:rows, :tokens], MASK[:rows, :tokens], None
        probs = backend(*inputs)
        assert probs.dtype == np.float32 and probs.shape == (rows, 2)
        np.testing.assert_allclose(probs, torch_backend(*inputs), atol=0.1)
    with ThreadPoolExecutor(2) as pool:  # each thread has a request of its own
        one_by_one = [(IDS[i : i + 1], MASK[i : i + 1], None) for i in range(3)] * 20
        alone = [backend(*inputs) for inputs in one_by_one]
        together = list(pool.map(lambda inputs: backend(*inputs), one_by_one))
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_int8_has_a_scale_for_each_channel(artifact, graph, tmp_path):
    import onnx

    name, write = FORMS["onnx-int8"]
    write(source(artifact, graph), tmp_path / name)
    quantized = onnx.load(tmp_path / name).graph
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in quantized.initializer}
    matrices = [w for w in weights.values() if w.dtype == np.int8 and w.ndim == 2 and min(w.shape) > 2]
    assert matrices and max(np.abs(w.astype(int)).max() for w in matrices) <= 64  # seven bits
    columns = {w.shape[1] for w in matrices}
    scales = [w for w in weights.values() if w.dtype == np.float32 and w.size in columns and (w > 0).all()]
    assert len(scales) >= len(columns)


def test_what_cannot_be_exported(artifact, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("unsupported operator\nand a page of graph")

    monkeypatch.setattr(torch.onnx, "export", fail)
    level = logging.root.manager.disable
    with pytest.raises(ArtifactError, match=r"cannot export this roberta model \(RuntimeError: unsupported operator\)"):
        onnx_graphs.write_onnx(artifact, tmp_path / "model.onnx")
    assert logging.root.manager.disable == level
