"""int8 for OpenVINO: close to PyTorch, and opened before other formats."""

import pytest

import kickbert
from kickbert import ArtifactError

WINDOWS = {"long": "windows", "max_length": 16, "stride": 4, "pooling": "attention"}


@pytest.mark.system
@pytest.mark.parametrize("task", [{}, WINDOWS], ids=["labels", "windows"])
def test_openvino_is_exported_and_opened_first(make, reviews, check_backend, tmp_path, task):
    pytest.importorskip("nncf", reason="the extra kickbert[openvino] is not installed")
    learn = make(reviews, **task)
    learn.fit_one_cycle(2, 4e-3)
    folder = learn.save_artifact(tmp_path / "k")
    table = kickbert.export(folder, reviews, ("onnx", "openvino-int8"), force=True)
    assert table["file"].tolist()[1:] == ["model.onnx", "model.int8.openvino.zip"] and table["max_difference"][2] < 0.2
    assert kickbert.load(folder).backend.name == "openvino-int8"
    check_backend(folder, "openvino-int8", 0.2, reviews)
    with pytest.raises(ArtifactError, match=r"int8 costs .* more than the limit of -200"):
        kickbert.export(folder, reviews, ["openvino-int8"], limit=-200)
