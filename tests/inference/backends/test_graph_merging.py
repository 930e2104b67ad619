"""Merged graphs compute what each graph computes, and common operations once."""

import numpy as np
import pytest

from kickbert import ArtifactError
from kickbert.inference.backends.graph_merging import merge_graphs

onnx = pytest.importorskip("onnx", reason="the extra kickbert[export] is not installed")
pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")

ENCODER = np.arange(12, dtype=np.float32).reshape(3, 4) / 10


@pytest.fixture
def graph(tmp_path):
    """Write a graph: an encoder (product, tanh) and a head (product), with its own names."""

    def write(name: str, head: np.ndarray, encoder: np.ndarray = ENCODER, opset: int = 20, inputs=("input_ids",)):
        nodes = [
            onnx.helper.make_node("MatMul", ["input_ids", f"{name}_w"], [f"{name}_x"], name=f"{name}_first"),
            onnx.helper.make_node("Tanh", [f"{name}_x"], [f"{name}_y"]),
            onnx.helper.make_node("MatMul", [f"{name}_y", f"{name}_head"], ["probabilities"]),
        ]
        constants = [
            onnx.numpy_helper.from_array(encoder.astype(np.float32), f"{name}_w"),
            onnx.numpy_helper.from_array(head.astype(np.float32), f"{name}_head"),
        ]
        given = [onnx.helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, ["rows", 3]) for value in inputs]
        result = onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["rows", head.shape[1]])
        model = onnx.helper.make_model(
            onnx.helper.make_graph(nodes, name, given, [result], constants),
            opset_imports=[onnx.helper.make_opsetid("", opset)],
            ir_version=10,
        )
        onnx.save(model, tmp_path / f"{name}.onnx")
        return tmp_path / f"{name}.onnx"

    return write


def run(model, x: np.ndarray) -> np.ndarray:
    import onnxruntime

    return onnxruntime.InferenceSession(model).run(None, {"input_ids": x})[0]


def test_common_nodes_run_once(graph):
    rng = np.random.default_rng(0)
    heads = [rng.normal(size=(4, classes)) for classes in (2, 3, 1)]
    files = [graph(f"g{i}", head) for i, head in enumerate(heads)]
    merged = merge_graphs(files)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(run(merged, x), np.hstack([run(file, x) for file in files]), atol=1e-6)
    content = onnx.load_from_string(merged)
    onnx.checker.check_model(content)
    assert [node.op_type for node in content.graph.node] == ["MatMul", "Tanh", *3 * ["MatMul"], "Concat"]
    assert len(content.graph.initializer) == 4


def test_other_constants_are_kept_apart(graph):
    head = np.eye(4)[:, :2]
    files = [graph("a", head), graph("b", head, ENCODER + 1), graph("c", head)]
    merged = merge_graphs(files)
    x = np.ones((1, 3), dtype=np.float32)
    np.testing.assert_allclose(run(merged, x), np.hstack([run(file, x) for file in files]), atol=1e-6)
    assert sum(node.op_type == "Tanh" for node in onnx.load_from_string(merged).graph.node) == 2


def test_graphs_that_cannot_be_merged(graph, tmp_path):
    first = graph("first", np.eye(4))
    with pytest.raises(ArtifactError, match=r"other inputs or operators .* Export all models again"):
        merge_graphs([first, graph("older", np.eye(4), opset=18)])
    with pytest.raises(ArtifactError, match="other inputs or operators"):
        merge_graphs([first, graph("windows", np.eye(4), inputs=("input_ids", "document_weights"))])
    model = onnx.load(first)
    branch = onnx.helper.make_graph(
        [], "branch", [], [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [])]
    )
    node = onnx.helper.make_node("If", ["input_ids"], ["x"], then_branch=branch, else_branch=branch)
    model.graph.node.insert(0, node)
    onnx.save(model, tmp_path / "nested.onnx")
    with pytest.raises(ArtifactError, match="a graph within a node"):
        merge_graphs([first, tmp_path / "nested.onnx"])
