"""Evaluation of every kind of target, with baselines and with rows that cannot be evaluated."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fastai.learner import load_learner

from kickbert import evaluate
from kickbert.evaluation.baselines import LINEAR, MAJORITY
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import all_scores


@pytest.fixture
def trained(make, reviews):
    learn = make(reviews)
    learn.fit_one_cycle(6, 4e-3)
    return learn


def test_the_table_contains_the_model_and_the_baselines(trained, tmp_path):
    texts, codes = trained.labeled_rows("train")
    rows = {"train": (texts[1:], codes[1:]), "valid": trained.labeled_rows("valid")}  # one class is the largest
    trained.labeled_rows = rows.get
    evaluation = evaluate(trained, rounds=50)
    table = evaluation.to_frame()
    assert table.columns.tolist() == ["score", "model", "low", "high", MAJORITY, LINEAR]
    assert evaluation["accuracy"] == pytest.approx(float(trained.validate()[1]))
    bounds = table.dropna(subset=["low", "high"])
    assert (bounds["low"] <= bounds["model"] + 1e-9).all() and (bounds["model"] <= bounds["high"] + 1e-9).all()
    row = table.set_index("score").loc["accuracy"]
    assert row[LINEAR] == 1 and row[MAJORITY] == pytest.approx(0.5, abs=0.1)
    assert (
        evaluation.classes["class"].tolist() == ["bad", "good"] and evaluation.classes["rows"].sum() == evaluation.rows
    )
    content = json.loads(evaluation.to_json(tmp_path / "scores.json"))
    assert content["rows"] == evaluation.rows and json.loads((tmp_path / "scores.json").read_text()) == content
    assert content["scores"][0]["model"] == evaluation["accuracy"]
    assert (
        "accuracy" in repr(evaluation)
        and "validation rows" in repr(evaluation)
        and "<table" in evaluation._repr_html_()
    )
    with pytest.raises(KeyError, match="'acuracy' is not a score"):
        evaluation["acuracy"]


def test_a_single_column_of_zeros_and_ones(make, reviews):
    df = reviews.assign(good=(reviews["label"] == "good").astype(int))
    learn = make(df, label_col=["good"])  # the same as label_col="good"
    learn.fit_one_cycle(1, 4e-3)
    evaluation = evaluate(learn, df, compare=False, rounds=2)
    assert evaluation.classes["class"].tolist() == ["0", "1"] and evaluation.classes["rows"].tolist() == [60, 60]


def test_labels_and_probabilities_from_anywhere():
    probs = [[0.4, 0.6], [0.9, 0.1], [0.8, 0.2]]
    evaluation = evaluate([1, 0, 1], probs, rounds=20)
    assert evaluation["accuracy"] == pytest.approx(2 / 3)
    predictions = Predictions.from_probabilities([1, 0, 1], probs)
    assert evaluate(predictions, rounds=20).scores.equals(evaluation.scores)
    assert all_scores(predictions)(np.array([1.0, 1.0, 0.0]))["accuracy"] == 1  # the wrong row has no weight


@pytest.mark.parametrize("kind", ["bins", "number", "several"])
def test_every_kind_of_target(make, reviews, kind):
    rng = np.random.default_rng(0)
    amount = np.where(reviews["label"] == "good", 100, 10) * rng.lognormal(0, 0.1, len(reviews))
    df = reviews.assign(amount=amount, tags=[["x", label] if i % 3 else [] for i, label in enumerate(reviews["label"])])
    kinds = {
        "bins": ({"label_col": "amount", "bins": 3}, "quadratic kappa"),
        "number": ({"label_col": "amount", "task": "regression"}, "mean absolute error"),
        "several": ({"label_col": "tags"}, "micro-F1"),
    }
    learn = make(df, **kinds[kind][0])
    learn.fit_one_cycle(4, 4e-3)
    evaluation = evaluate(learn, df, rounds=20)
    assert kinds[kind][1] in set(evaluation.to_frame()["score"]) and LINEAR in evaluation.to_frame()
    assert np.isfinite(evaluation.to_frame()["model"]).all()
    assert (evaluation.classes is None) == (kind == "number")
    if kind == "number":
        assert 1 < evaluation["mean absolute error"] < 100  # in the target's own unit


def test_rows_that_cannot_be_evaluated_are_named_and_escaped(trained, reviews):
    df = reviews.head(12).copy()
    df.loc[0, "label"] = "<b>ugly</b>"
    with pytest.warns(UserWarning, match="Skipped 1 row whose label was not in the training data"):
        evaluation = evaluate(trained, df, rounds=10)
    assert evaluation.rows == 11 and "<b>ugly</b>" in repr(evaluation)
    assert "&lt;b&gt;ugly" in evaluation._repr_html_() and "<b>" not in evaluation._repr_html_()


def test_no_labels_a_single_row_and_one_class(trained, reviews):
    alone = evaluate(trained, reviews[["text"]])
    assert not len(alone.to_frame()) and len(alone.predictions.to_frame()) == len(reviews)
    assert alone.predictions.to_frame().columns[:2].tolist() == ["predicted_label", "confidence"]
    one = evaluate(trained, reviews.head(1), rounds=5)
    assert one["accuracy"] in (0, 1) and np.isnan(one["ROC-AUC"])
    same = evaluate(trained, reviews[reviews["label"] == "good"], rounds=5)
    assert same["accuracy"] == same["micro-recall"]


def test_the_worst_class_comes_first(mistakes):
    evaluation = evaluate(mistakes, rounds=5)
    assert evaluation.worst_classes()["F1"].is_monotonic_increasing and len(evaluation.worst_classes()) == 3
    absent = replace(evaluation, classes=evaluation.classes.assign(rows=[0, 1, 1]))
    assert absent.worst_classes().index[-1] == 0


def test_a_learner_without_rows(trained, reviews, tmp_path):
    trained.export(tmp_path / "learn.pkl")
    again = load_learner(tmp_path / "learn.pkl")
    with pytest.raises(ValueError, match="the model has no validation rows"):
        evaluate(again)
    evaluation = evaluate(again, reviews, rounds=5)
    assert LINEAR not in evaluation.to_frame() and evaluation["accuracy"] > 0.5


def test_a_perfect_model_and_a_tie_are_noted(trained, reviews):
    perfect = evaluate([0, 1] * 15, np.tile([[0.9, 0.1], [0.2, 0.8]], (15, 1)), rounds=20)
    assert "Accuracy 100.0% on 30 rows (95% interval: 88.6% to 100.0%)." in repr(perfect)
    assert any(note.startswith("The intervals of balanced accuracy, ") for note in perfect.notes)
    assert "nan" not in repr(perfect) and json.loads(perfect.to_json())["scores"][1]["low"] is None
    grouped = evaluate(trained, reviews.assign(part="a"), by="part", compare=False, rounds=1)
    assert any("not defined in some groups" in note for note in grouped.notes)
    trained.labeled_rows = lambda part: (["warm", "cold"], np.array([0, 1]))
    tied = evaluate(trained, reviews, rounds=5)
    assert MAJORITY not in tied.to_frame() and LINEAR in tied.to_frame()
    assert "No comparison with the majority class: 'bad', 'good' are equally frequent in training" in tied.notes
    assert "largest class" not in " ".join(tied.summary)


def test_scores_of_which_lower_is_better_say_so(trained):
    evaluation = evaluate(trained, compare=False, rounds=5)
    assert "expected calibration error (lower is better)" in repr(evaluation)
    assert "expected calibration error (lower is better)" in evaluation._repr_html_()
    assert "accuracy (lower" not in repr(evaluation) and np.isfinite(evaluation["expected calibration error"])
