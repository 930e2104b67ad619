"""Exported models predict like PyTorch, for any number of rows and tokens."""

import numpy as np
import pandas as pd
import pytest

import kickbert
from kickbert.models.artifact import loading

pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
TASKS = {
    "bins": {"label_col": "amount", "bins": 3},
    "several": {"label_col": "tags"},
    "number": {"label_col": "amount", "task": "regression"},
    "windows": {"long": "windows", "max_length": 16, "stride": 4, "pooling": "attention"},
}


@pytest.fixture
def rows(reviews):
    rng = np.random.default_rng(0)
    tags = [["x", label] if i % 3 else [] for i, label in enumerate(reviews["label"])]
    return reviews.assign(amount=rng.lognormal(3, 1, len(reviews)), tags=tags)


@pytest.mark.system
@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_exported(make, rows, check_backend, tmp_path, task):
    learn = make(rows, **TASKS[task])
    learn.fit_one_cycle(1, 4e-3)
    folder = learn.save_artifact(tmp_path / "k")
    table = kickbert.export(folder, rows, ("onnx", "onnx-int8"), force=True)
    assert table["format"].tolist() == ["torch", "onnx", "onnx-int8"]
    assert table["max_difference"][0] == 0 and table["max_difference"][1] < 1e-4
    assert table["same_prediction"].tolist()[:2] == [1, 1] and table["score"].notna().all()
    check_backend(folder, "onnx", 1e-4, rows)
    check_backend(folder, "onnx-int8", 0.2, rows)
    texts = rows[["text"]].head(9)
    onnx = kickbert.load(folder, backend="onnx").predict_df(texts)
    pd.testing.assert_frame_equal(onnx, learn.predict_df(texts), atol=1e-3, check_dtype=False)
    assert kickbert.load(folder).backend.name == "onnx-int8"


def test_the_network_is_loaded_once(folder, reviews, monkeypatch):
    loads = []
    load = loading.load_classifier
    monkeypatch.setattr(loading, "load_classifier", lambda artifact: (loads.append(artifact), load(artifact))[1])
    kickbert.export(folder, reviews.head(20), ["onnx", "onnx-int8"], force=True)
    assert len(loads) == 1


def test_half_precision_without_labels(folder, reviews):
    table = kickbert.export(folder, reviews.drop(columns="label"), ["onnx-fp16"])
    assert table["file"].tolist() == ["model.safetensors", "model.fp16.onnx"] and table["max_difference"][1] < 0.01
    assert "score" not in table


def test_invalid_arguments(folder, reviews):
    with pytest.raises(ValueError, match=r"format 'onxn' is not one of \['onnx', .*Did you mean 'onnx'"):
        kickbert.export(folder, reviews, ["onxn"])
    with pytest.raises(ValueError, match="df has no rows"):
        kickbert.export(folder, reviews[:0])
