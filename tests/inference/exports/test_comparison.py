"""A format that changes predictions too much is not kept; a cost that is not significant causes a warning."""

import numpy as np
import pytest

import kickbert
from kickbert import ArtifactError
from kickbert.inference.exports import comparison

pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")


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
    """Two of fifteen wrong rows are not significant; the same share of 120 rows is."""
    monkeypatch.setattr(
        comparison.Comparison, "_same", lambda self, predictions: np.arange(len(self.reference)) % 15 > 1
    )
    texts = reviews.drop(columns="label")
    with pytest.raises(ArtifactError, match=r"int8 costs 13\.33 points on these 120 rows.*Raise limit="):
        kickbert.export(folder, texts, ["onnx-int8"])
    with pytest.warns(UserWarning, match=r"\(95% interval: 0.00 to .*may be chance, so it was kept"):
        kickbert.export(folder, texts[:15], ["onnx-int8"])
    assert "model.int8.onnx" in kickbert.load(folder).artifact


def test_the_cost_of_int8_is_the_change_of_the_score(folder, reviews, two_of_fifteen_wrong):
    with pytest.raises(ArtifactError, match=r"int8 costs 13\.33 points on these 120 rows.*it was not kept"):
        kickbert.export(folder, reviews, ["onnx-int8"])
