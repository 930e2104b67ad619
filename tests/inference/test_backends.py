"""The fastest backend that an artifact and a machine have; both give the same probabilities."""

import numpy as np
import pytest

import kickbert
from kickbert import ArtifactError
from kickbert.inference import backends
from kickbert.inference.backends import choose_backend, open_backend
from kickbert.models.artifact.reading import read_artifact
from kickbert.models.artifact.versions import add_file


@pytest.fixture
def artifact(served):
    return read_artifact(served / "two")


@pytest.mark.parametrize(
    ("installed", "exported", "fast_bf16", "chosen"),
    [
        ({"onnxruntime", "openvino"}, ["model.int8.openvino.zip", "model.int8.onnx"], True, "openvino-int8"),
        ({"onnxruntime", "torch"}, ["model.int8.openvino.zip", "model.int8.onnx"], True, "onnx-int8"),
        ({"onnxruntime", "openvino"}, ["model.int8.onnx", "model.onnx"], False, "onnx-int8"),
        ({"onnxruntime", "torch"}, ["model.int8.onnx", "model.onnx"], True, "onnx-int8"),
        ({"onnxruntime", "torch"}, ["model.onnx"], True, "torch-bf16"),
        ({"onnxruntime", "torch"}, ["model.onnx"], False, "onnx"),
        ({"onnxruntime"}, ["model.onnx"], None, "onnx"),
        ({"torch"}, ["model.int8.onnx"], False, "torch"),
        ({"torch"}, [], False, "torch"),
    ],
)
def test_auto_takes_the_fastest(make, reviews, tmp_path, monkeypatch, installed, exported, fast_bf16, chosen):
    folder = make(reviews).save_artifact(tmp_path / "k")
    for name in exported:
        add_file(read_artifact(folder), name, lambda part: part.write_bytes(b"graph"))
    monkeypatch.setattr(backends, "_installed", lambda package: package in installed)
    monkeypatch.setattr(backends, "_fast_bf16", lambda: fast_bf16)
    monkeypatch.setattr(backends.platform, "machine", lambda: "x86_64")
    assert choose_backend(read_artifact(folder)) == chosen


def test_openvino_is_chosen_by_name_alone_where_it_was_not_measured(make, reviews, tmp_path, monkeypatch):
    folder = make(reviews).save_artifact(tmp_path / "k")
    for name in ("model.int8.openvino.zip", "model.onnx"):
        add_file(read_artifact(folder), name, lambda part: part.write_bytes(b"graph"))
    monkeypatch.setattr(backends, "_installed", lambda package: package in {"onnxruntime", "openvino"})
    monkeypatch.setattr(backends.platform, "machine", lambda: "arm64")
    assert choose_backend(read_artifact(folder)) == "onnx"
    assert choose_backend(read_artifact(folder), "openvino-int8") == "openvino-int8"


def test_what_cannot_be_chosen(artifact, monkeypatch):
    with pytest.raises(ArtifactError, match=r"needs model\.onnx, which .* has not; make it: kickbert export"):
        choose_backend(artifact, "onnx")
    with pytest.raises(ArtifactError, match=r"needs model\.int8\.openvino\.zip, .* --form openvino-int8"):
        choose_backend(artifact, "openvino-int8")
    with pytest.raises(ValueError, match="backend='tensorrt' is not one of"):
        choose_backend(artifact, "tensorrt")
    monkeypatch.setattr(backends, "_installed", lambda package: False)
    with pytest.raises(ArtifactError, match="has no exported model, and torch is not installed here"):
        choose_backend(artifact)


def test_padding_does_not_change_torchs_probabilities(artifact):
    backend = open_backend(artifact, "torch")
    ids, mask = np.array([[0, 20, 21, 2]]), np.ones((1, 4), dtype=np.int64)
    probs = backend(ids, mask, None)
    padded = backend(np.pad(ids, ((0, 0), (0, 3)), constant_values=1), np.pad(mask, ((0, 0), (0, 3))), None)
    assert probs.shape == (1, 2) and probs.dtype == np.float32
    np.testing.assert_allclose(padded, probs, atol=1e-6)
    half = open_backend(artifact, "torch-bf16")(ids, mask, None)
    assert half.dtype == np.float32 and 0 < np.abs(half - probs).max() < 0.05


def test_a_changed_export_is_not_run(make, reviews, tmp_path):
    folder = make(reviews).save_artifact(tmp_path / "k")
    add_file(read_artifact(folder), "model.onnx", lambda part: part.write_bytes(b"graph"))
    (folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactError):
        kickbert.load(folder, "onnx")
