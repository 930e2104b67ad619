"""Exported models: the same answers as torch's, of any number of rows and tokens; what costs too much is not kept."""

import json

import numpy as np
import pandas as pd
import pytest

import kickbert
from kickbert import ArtifactError
from kickbert.inference import exporting

pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
TASKS = {
    "labels": {},
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


@pytest.mark.parametrize("how", TASKS)
def test_every_form_says_the_same(make, rows, tmp_path, how):
    learn = make(rows, **TASKS[how])
    learn.fit_one_cycle(2, 4e-3)
    folder = learn.save_artifact(tmp_path / "k")
    made = kickbert.export(folder, rows, ("onnx", "onnx-int8"), force=True)
    assert made["form"].tolist() == ["onnx", "onnx-int8"] and made["difference"][0] < 1e-4
    assert {"score_torch", "score"} <= set(made) and made["agreement"][0] == 1
    torch, onnx, int8 = (kickbert.load(folder, backend=b) for b in ("torch", "onnx", "onnx-int8"))
    texts = ["a", *rows["text"].sample(33, random_state=0), "a long and winding story " * 30]
    np.testing.assert_allclose(onnx.predict_proba(texts), torch.predict_proba(texts), atol=1e-4)
    np.testing.assert_allclose(onnx.predict_proba(texts, batch_size=1), onnx.predict_proba(texts), atol=1e-4)
    assert np.abs(int8.predict_proba(texts) - torch.predict_proba(texts)).max() < 0.2
    theirs = learn.predict_df(pd.DataFrame({"text": texts}))
    pd.testing.assert_frame_equal(onnx.predict_df(pd.DataFrame({"text": texts})), theirs, atol=1e-3, check_dtype=False)
    assert kickbert.load(folder).backend.name == "onnx-int8"


@pytest.mark.parametrize("how", ["labels", "windows"])
def test_openvino_is_measured_and_opened_first(make, rows, tmp_path, how):
    pytest.importorskip("nncf", reason="the extra kickbert[openvino] is not installed")
    learn = make(rows, **TASKS[how])
    learn.fit_one_cycle(2, 4e-3)
    folder = learn.save_artifact(tmp_path / "k")
    made = kickbert.export(folder, rows, ("onnx", "openvino-int8"), force=True)
    assert made["file"].tolist() == ["model.onnx", "model.int8.openvino.zip"] and made["difference"][1] < 0.2
    texts = ["a", *rows["text"].sample(33, random_state=0), "a long and winding story " * 30]
    torch, int8 = (kickbert.load(folder, backend=b) for b in ("torch", "openvino-int8"))
    assert kickbert.load(folder).backend.name == "openvino-int8"
    probs = int8.predict_proba(texts)
    assert np.abs(probs - torch.predict_proba(texts)).max() < 0.2
    np.testing.assert_allclose(int8.predict_proba(texts, batch_size=1), probs, atol=1e-3)  # whatever is beside it
    with pytest.raises(ArtifactError, match=r"int8 costs .* over limit=-200"):
        kickbert.export(folder, rows, ["openvino-int8"], limit=-200)


def test_further_forms(make, reviews, tmp_path):
    import torch

    folder = make(reviews).save_artifact(tmp_path / "k")
    made = kickbert.export(folder, reviews.drop(columns="label"), ("onnx-fp16", "torch-export"))
    assert made["file"].tolist() == ["model.fp16.onnx", "model.pt2"] and made["difference"][0] < 0.01
    program = torch.export.load(folder / "model.pt2").module()
    model = kickbert.load(folder, backend="torch")
    ids, mask = model._padded(model.token_encoder.encode_batch(["a bright film", "bad"])[0])
    found = program(torch.from_numpy(ids), torch.from_numpy(mask)).detach().numpy()
    np.testing.assert_allclose(found, model.predict_proba(["a bright film", "bad"]), atol=1e-5)
    kickbert.export(folder, reviews, ["onnx"])
    kept = json.loads((folder / "exports.json").read_text())
    assert [row["form"] for row in kept] == ["onnx-fp16", "torch-export", "onnx"]


def test_what_costs_too_much_is_not_kept(make, reviews, tmp_path, monkeypatch):
    folder = make(reviews).save_artifact(tmp_path / "k")
    with pytest.raises(ArtifactError, match=r"int8 costs -?\d+\.\d+ points on these 120 rows, over limit=-200"):
        kickbert.export(folder, reviews, limit=-200)
    assert "model.int8.onnx" not in kickbert.load(folder).artifact
    monkeypatch.setattr(exporting, "TOLERANCE", 0)
    with pytest.raises(ArtifactError, match="so it was not kept"):
        kickbert.export(folder, reviews, ["onnx"])


def test_what_may_be_chance_is_kept_and_said(make, reviews, tmp_path, monkeypatch):
    """Two of fifteen rows are no proof, as many of a hundred and twenty are."""
    learn = make(reviews)
    learn.fit_gradual([kickbert.Phase("everything", 0, 12, 1e-2)])
    folder, predict = learn.save_artifact(tmp_path / "k"), exporting.Predictions.from_model

    def two_of_fifteen_wrong(model, df):
        predictions = predict(model, df)
        if model.backend.name == "onnx-int8":
            wrong = np.arange(len(predictions.y_pred)) % 15 < 2
            predictions.y_pred[wrong] = 1 - predictions.y_pred[wrong]
        return predictions

    monkeypatch.setattr(exporting.Predictions, "from_model", two_of_fifteen_wrong)
    with pytest.warns(UserWarning, match=r"over limit=0.5 \(95 % interval 0.00 to .*it was kept; compare on more rows"):
        kickbert.export(folder, reviews[:15], ["onnx-int8"])
    assert "model.int8.onnx" in kickbert.load(folder).artifact
    with pytest.raises(ArtifactError, match=r"int8 costs \d+\.\d+ points on these 120 rows.*it was not kept"):
        kickbert.export(folder, reviews, ["onnx-int8"])
    texts = reviews.drop(columns="label")
    with pytest.raises(ArtifactError, match=r"int8 costs 13\.33 points on these 120 rows"):  # of agreement
        kickbert.export(folder, texts, ["onnx-int8"])
    with pytest.warns(UserWarning, match="which may be chance"):
        kickbert.export(folder, texts[:15], ["onnx-int8"])


def test_what_cannot_be(make, reviews, tmp_path):
    folder = make(reviews).save_artifact(tmp_path / "k")
    with pytest.raises(ValueError, match=r"form 'onxn' is not one of \['onnx', .*Did you mean 'onnx'"):
        kickbert.export(folder, reviews, ["onxn"])
    with pytest.raises(ValueError, match="df must have rows"):
        kickbert.export(folder, reviews[:0])
