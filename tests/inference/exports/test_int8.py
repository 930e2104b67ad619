"""int8 graphs are close to fp32, and the result of a row does not depend on its batch."""

import numpy as np
import pytest

import kickbert

onnx = pytest.importorskip("onnx", reason="the extra kickbert[export] is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")

from kickbert.inference.exports.int8 import quantize_rows  # noqa: E402


def products(*weights: np.ndarray):
    """A graph that multiplies one input, shape (rows, tokens, 8), with each matrix of weights."""
    from onnx import TensorProto, helper, numpy_helper

    tensors = [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)]
    nodes = [helper.make_node("MatMul", ["x", f"w{i}"], [f"y{i}"]) for i in range(len(weights))]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", "tokens", 8])
    ys = [
        helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, ["rows", "tokens", w.shape[1]])
        for i, w in enumerate(weights)
    ]
    graph = helper.make_graph(nodes, "products", [x], ys, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model, x: np.ndarray) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})


def test_products_are_close_and_rows_are_independent():
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(8, n)).astype(np.float32) for n in (5, 3)]
    weights[0][:, 2] = 0
    x = rng.normal(size=(3, 4, 8)).astype(np.float32)
    x[1] *= 1000  # with one scale per batch, the other rows would become zero
    x[2, 0] = 0
    model = quantize_rows(products(*weights))
    onnx.checker.check_model(model)
    for product, weight in zip(run(model, x), weights, strict=True):
        exact = x @ weight
        tolerance = np.abs(x).max(-1, keepdims=True) * np.abs(weight).max(0) * 4 * (1 / 127 + 1 / 126)
        assert product.shape == exact.shape and (np.abs(product - exact) <= tolerance + 1e-6).all()
    for one, row in zip(run(model, x)[0], x, strict=True):
        assert np.array_equal(run(model, row[None])[0][0], one)


def test_what_products_share_is_made_once_and_fp32_weights_go():
    weight = np.ones((8, 4), dtype=np.float32)
    model = quantize_rows(products(weight, weight, weight))
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") == 1 and kinds.count("MatMulInteger") == 3 and "MatMul" not in kinds
    assert not any(tensor.name in ("w0", "w1", "w2") for tensor in model.graph.initializer)


def test_a_prediction_does_not_depend_on_the_batch(folder, reviews):
    kickbert.export(folder, reviews, ["onnx-int8"], force=True)
    _check_neighbors(folder, reviews)


@pytest.mark.system
def test_a_prediction_of_real_weights_does_not_depend_on_the_batch(minilm, make, reviews, tmp_path):
    learn = make(reviews, model=minilm)
    learn.freeze()
    learn.fit_one_cycle(1, 4e-3)
    folder = learn.save_artifact(tmp_path / "k")
    kickbert.export(folder, reviews, force=True)
    _check_neighbors(folder, reviews)


def _check_neighbors(folder, reviews) -> None:
    model = kickbert.load(folder, backend="onnx-int8")
    texts = [*reviews["text"][:20], "12345 !!!! 😀 ZZZQ", "an invoice " * 12, "a"]
    rows = model.token_encoder.encode_batch(texts)[0]
    together = model.backend(*model._padded(rows), None)
    alone = np.concatenate([model.backend(*model._padded([row]), None) for row in rows])
    assert np.abs(together - alone).max() < 1e-5
    exact = kickbert.load(folder, backend="torch").predict_proba(texts)
    assert np.abs(alone - exact).max() < 0.02
