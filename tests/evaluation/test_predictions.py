"""Predictions and true labels: shapes that fit, misclassified rows, rows that can be evaluated."""

import numpy as np
import pandas as pd
import pytest
from fastai.learner import load_learner

from kickbert.evaluation.predictions import Predictions
from kickbert.targets.fitting import fit_target

PROBS = [[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]]


def test_labels_by_name_and_by_number():
    by_name = Predictions.from_probabilities(["no", "yes", "yes"], PROBS, ["no", "yes"])
    by_number = Predictions.from_probabilities([0, 1, 1], PROBS)
    for predictions in (by_name, by_number):
        assert predictions.y_true.tolist() == [0, 1, 1] and predictions.y_pred.tolist() == [0, 1, 0]
        assert predictions.wrong.tolist() == [False, False, True]
        assert predictions.confidence.tolist() == [0.9, 0.6, 0.7]
    assert by_name.to_frame()["predicted_label"].tolist() == ["no", "yes", "no"]


def test_several_labels_are_wrong_if_one_of_them_is():
    predictions = Predictions.from_probabilities([[1, 0], [1, 1]], [[0.9, 0.2], [0.8, 0.3]], ["a", "b"])
    assert predictions.wrong.tolist() == [False, True]
    assert predictions.confidence.tolist() == pytest.approx([0.8, 0.7])  # of the least certain label
    assert predictions.to_frame()["predicted_label"].tolist() == [["a"], ["a"]]


def test_numbers_are_in_their_own_unit():
    values = pd.Series([10.0, 20.0, 60.0], name="price")
    target = fit_target(values, task="regression")
    codes = target.encode(values)
    y_true, y_pred = Predictions(target, codes[:, None] + 0.0, codes[:, None], codes).numbers
    assert y_true == pytest.approx([10, 20, 60], rel=1e-5) and y_pred == pytest.approx([10, 20, 60], rel=1e-5)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="1 of 2 rows have probabilities that are not finite"):
        Predictions.from_probabilities([0, 1], [[0.5, 0.5], [np.nan, 1.0]])
    with pytest.raises(ValueError, match=r"y_true of shape \(3,\) does not fit probabilities of shape \(2, 2\)"):
        Predictions.from_probabilities([0, 1, 1], [[0.5, 0.5], [0.2, 0.8]])
    with pytest.raises(ValueError, match="y_true contains 7, which is not a class"):
        Predictions.from_probabilities([0, 7], [[0.5, 0.5], [0.2, 0.8]])
    with pytest.raises(ValueError, match="2 names for 3 columns"):
        Predictions.from_probabilities([0], [[0.2, 0.3, 0.5]], ["a", "b"])


def test_rows_that_cannot_be_evaluated_are_left_out(make, reviews):
    learn, df = make(reviews), reviews.head(12).copy()
    df.loc[0, "label"], df.loc[1, "text"], df.loc[2, "label"] = "ugly", None, None
    with pytest.warns(
        UserWarning, match=r"Skipped 1 row whose label was not in the training data: 'ugly' \(rows \[0\]\)"
    ):
        predictions = Predictions.from_model(learn, df)
    assert predictions.df.index.tolist() == list(range(3, 12)) and len(predictions.texts) == len(predictions) == 9
    assert "ugly" in predictions.notes[0]
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="none of 2 rows has a text"):
        Predictions.from_model(learn, df.head(2))


def test_rows_without_labels_have_only_predictions(make, reviews):
    predictions = Predictions.from_model(make(reviews), reviews[["text"]])
    assert predictions.y_true is None and predictions.probs.shape == (120, 2)
    assert predictions.to_frame().columns[:2].tolist() == ["predicted_label", "confidence"]


def test_validation_rows_and_a_learner_without_any(make, reviews, tmp_path):
    learn = make(reviews)
    predictions = Predictions.from_model(learn)
    assert len(predictions) == len(learn.dls.valid_ds) and predictions.notes[0].startswith("These are validation rows")
    learn.export(tmp_path / "learn.pkl")
    with pytest.raises(ValueError, match="the model has no validation rows"):
        Predictions.from_model(load_learner(tmp_path / "learn.pkl"))
