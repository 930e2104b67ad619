"""Exported models predict as PyTorch does, for any number of rows and tokens; what costs too much is not kept."""

import shutil

import numpy as np
import pandas as pd
import pytest

import kickbert
from kickbert import ArtifactError
from kickbert.inference.exports import comparison
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


def compared(folder, backend: str, atol: float, rows) -> None:
    """Compare a backend with PyTorch on short, long and repeated texts, one by one and together."""
    torch, exported = (kickbert.load(folder, backend=name) for name in ("torch", backend))
    texts = ["a", *rows["text"].sample(20, random_state=0), "a long and winding story " * 30]
    probs = exported.predict_proba(texts)
    np.testing.assert_allclose(probs, torch.predict_proba(texts), atol=atol)
    np.testing.assert_allclose(exported.predict_proba(texts, batch_size=1), probs, atol=1e-3)


@pytest.mark.system
@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_exported(make, rows, tmp_path, task):
    learn = make(rows, **TASKS[task])
    learn.fit_one_cycle(1, 4e-3)
    folder = learn.save_artifact(tmp_path / "k")
    table = kickbert.export(folder, rows, ("onnx", "onnx-int8"), force=True)
    assert table["format"].tolist() == ["torch", "onnx", "onnx-int8"]
    assert table["max_difference"][0] == 0 and table["max_difference"][1] < 1e-4
    assert table["same_prediction"].tolist()[:2] == [1, 1] and table["score"].notna().all()
    compared(folder, "onnx", 1e-4, rows)
    compared(folder, "onnx-int8", 0.2, rows)
    texts = rows[["text"]].head(9)
    onnx = kickbert.load(folder, backend="onnx").predict_df(texts)
    pd.testing.assert_frame_equal(onnx, learn.predict_df(texts), atol=1e-3, check_dtype=False)
    assert kickbert.load(folder).backend.name == "onnx-int8"


@pytest.mark.system
@pytest.mark.parametrize("task", [{}, TASKS["windows"]], ids=["labels", "windows"])
def test_openvino_is_exported_and_opened_first(make, rows, tmp_path, task):
    pytest.importorskip("nncf", reason="the extra kickbert[openvino] is not installed")
    learn = make(rows, **task)
    learn.fit_one_cycle(2, 4e-3)
    folder = learn.save_artifact(tmp_path / "k")
    table = kickbert.export(folder, rows, ("onnx", "openvino-int8"), force=True)
    assert table["file"].tolist()[1:] == ["model.onnx", "model.int8.openvino.zip"] and table["max_difference"][2] < 0.2
    assert kickbert.load(folder).backend.name == "openvino-int8"
    compared(folder, "openvino-int8", 0.2, rows)
    with pytest.raises(ArtifactError, match=r"int8 costs .* more than the limit of -200"):
        kickbert.export(folder, rows, ["openvino-int8"], limit=-200)


def test_the_network_is_loaded_once(folder, reviews, monkeypatch):
    loads = []
    load = loading.load_classifier
    monkeypatch.setattr(
        "kickbert.inference.backends.torch_backend.load_classifier",
        lambda artifact: (loads.append(artifact), load(artifact))[1],
    )
    kickbert.export(folder, reviews.head(20), ["onnx", "onnx-int8"], force=True)
    assert len(loads) == 1


def test_half_precision_without_labels(folder, reviews):
    table = kickbert.export(folder, reviews.drop(columns="label"), ["onnx-fp16"])
    assert table["file"].tolist() == ["model.safetensors", "model.fp16.onnx"] and table["max_difference"][1] < 0.01
    assert "score" not in table


@pytest.mark.system
def test_a_program_of_torch_export(saved, tmp_path, reviews):
    import torch

    folder = shutil.copytree(saved, tmp_path / "k")
    kickbert.export(folder, reviews, ["torch-export"])
    program = torch.export.load(folder / "model.pt2").module()
    model = kickbert.load(folder, backend="torch")
    ids, mask = model._padded(model.token_encoder.encode_batch(["a bright film", "bad"])[0])
    probs = program(torch.from_numpy(ids), torch.from_numpy(mask)).detach().numpy()
    np.testing.assert_allclose(probs, model.predict_proba(["a bright film", "bad"]), atol=1e-5)


def test_a_format_that_costs_too_much_is_not_kept(folder, reviews, monkeypatch):
    with pytest.raises(ArtifactError, match=r"int8 costs -?\d+\.\d+ points on these 120 rows, more than the limit"):
        kickbert.export(folder, reviews, ["onnx-int8"], limit=-200)
    assert "model.int8.onnx" not in kickbert.load(folder, "torch").artifact
    monkeypatch.setattr(comparison, "TOLERANCE", 0)
    with pytest.raises(ArtifactError, match="so it was not kept"):
        kickbert.export(folder, reviews, ["onnx"])


@pytest.fixture
def two_of_fifteen_wrong(monkeypatch):
    """Let int8 predict two of fifteen rows wrong."""
    predict = comparison.Predictions.from_model

    def predictions_of(model, df):
        predictions = predict(model, df)
        if predictions.y_true is not None:
            predictions.y_pred[:] = predictions.y_true
        if model.backend.name == "onnx-int8":
            wrong = np.arange(len(predictions.y_pred)) % 15 < 2
            predictions.y_pred[wrong] = 1 - predictions.y_pred[wrong]
        return predictions

    monkeypatch.setattr(comparison.Predictions, "from_model", predictions_of)


def test_a_cost_that_may_be_chance_is_kept_with_a_warning(folder, reviews, two_of_fifteen_wrong, monkeypatch):
    """Two of fifteen rows prove nothing; as many of a hundred and twenty do."""
    monkeypatch.setattr(
        comparison.Comparison, "_same", lambda self, predictions: np.arange(len(self.reference)) % 15 > 1
    )
    texts = reviews.drop(columns="label")
    with pytest.raises(ArtifactError, match=r"int8 costs 13\.33 points on these 120 rows.*Raise limit="):
        kickbert.export(folder, texts, ["onnx-int8"])
    with pytest.warns(UserWarning, match=r"\(95% interval: 0.00 to .*may be chance, so it was kept"):
        kickbert.export(folder, texts[:15], ["onnx-int8"])
    assert "model.int8.onnx" in kickbert.load(folder).artifact


def test_the_cost_of_int8_is_that_of_its_score(folder, reviews, two_of_fifteen_wrong):
    with pytest.raises(ArtifactError, match=r"int8 costs 13\.33 points on these 120 rows.*it was not kept"):
        kickbert.export(folder, reviews, ["onnx-int8"])


def test_invalid_arguments(folder, reviews):
    with pytest.raises(ValueError, match=r"format 'onxn' is not one of \['onnx', .*Did you mean 'onnx'"):
        kickbert.export(folder, reviews, ["onxn"])
    with pytest.raises(ValueError, match="df has no rows"):
        kickbert.export(folder, reviews[:0])
