"""The fastest backend that an artifact and a machine have; errors say what to install or export."""

import pytest

import kickbert
from kickbert import ArtifactError
from kickbert.inference.backends import choice
from kickbert.inference.backends.choice import choose_backend
from kickbert.models.artifact.reading import read_artifact
from kickbert.models.artifact.versions import add_file


@pytest.fixture
def artifact(saved, tmp_path):
    """A copy of a saved model, to which files can be added."""
    import shutil

    return read_artifact(shutil.copytree(saved, tmp_path / "k"))


def with_files(artifact, *names: str):
    """The artifact with exports that are not run."""
    for name in names:
        artifact = add_file(artifact, name, lambda part: part.write_bytes(b"graph"))
    return artifact


@pytest.mark.parametrize(
    ("installed", "exported", "fast_bf16", "chosen"),
    [
        ({"onnxruntime", "openvino"}, ["model.int8.openvino.zip", "model.int8.onnx"], True, "openvino-int8"),
        ({"onnxruntime", "torch"}, ["model.int8.openvino.zip", "model.int8.onnx"], True, "onnx-int8"),
        ({"onnxruntime", "openvino"}, ["model.int8.onnx", "model.onnx"], False, "onnx-int8"),
        ({"onnxruntime", "torch"}, ["model.onnx"], True, "torch-bf16"),
        ({"onnxruntime", "torch"}, ["model.onnx"], False, "onnx"),
        ({"onnxruntime"}, ["model.onnx"], None, "onnx"),
        ({"torch"}, ["model.int8.onnx"], False, "torch"),
        ({"torch"}, [], False, "torch"),
    ],
)
def test_auto_takes_the_fastest(artifact, monkeypatch, installed, exported, fast_bf16, chosen):
    monkeypatch.setattr(choice, "_installed", lambda package: package in installed)
    monkeypatch.setattr(choice, "_fast_bf16", lambda: fast_bf16)
    monkeypatch.setattr(choice.platform, "machine", lambda: "x86_64")
    assert choose_backend(with_files(artifact, *exported)) == chosen


def test_openvino_is_not_automatic_on_other_machines(artifact, monkeypatch):
    artifact = with_files(artifact, "model.int8.openvino.zip", "model.onnx")
    monkeypatch.setattr(choice, "_installed", lambda package: package in {"onnxruntime", "openvino"})
    monkeypatch.setattr(choice.platform, "machine", lambda: "arm64")
    assert choose_backend(artifact) == "onnx"
    assert choose_backend(artifact, "openvino-int8") == "openvino-int8"


def test_errors_say_what_to_do(artifact, monkeypatch):
    with pytest.raises(ArtifactError, match=r"needs model\.onnx, which is not in .*ROWS --format onnx$"):
        choose_backend(artifact, "onnx")
    with pytest.raises(ArtifactError, match=r"needs model\.int8\.openvino\.zip, .* --format openvino-int8"):
        choose_backend(artifact, "openvino-int8")
    with pytest.raises(ValueError, match=r"backend='onxn' is not one of .*Did you mean 'onnx'"):
        choose_backend(artifact, "onxn")
    monkeypatch.setattr(choice, "_installed", lambda package: False)
    with pytest.raises(ArtifactError, match="has no exported model that runs here, and PyTorch is not installed"):
        choose_backend(artifact)
    with pytest.raises(ImportError, match="needs PyTorch, which this light installation does not have"):
        choose_backend(artifact, "torch")


def test_a_changed_export_is_not_run(artifact):
    with_files(artifact, "model.onnx")
    (artifact.folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactError):
        kickbert.load(artifact.folder, "onnx")
