"""Evaluation of every kind of target, beside what has to be beaten; and of rows that cannot be judged."""

import json

import numpy as np
import pandas as pd
import pytest
from fastai.learner import load_learner

from kickbert import evaluate
from kickbert.evaluation.baselines import LINEAR, MAJORITY, linear, majority
from kickbert.evaluation.predictions import Predictions
from kickbert.targets.fitting import fit_target


@pytest.fixture
def trained(make, reviews):
    learn = make(reviews)
    learn.fit_one_cycle(6, 4e-3)
    return learn


def test_the_table_holds_the_model_and_what_it_must_beat(trained, tmp_path):
    found = evaluate(trained, rounds=50)
    table = found.to_frame()
    assert table.columns.tolist() == ["score", "model", "low", "high", MAJORITY, LINEAR]
    assert found["accuracy"] == pytest.approx(float(trained.validate()[1]))
    assert (table["low"] <= table["model"] + 1e-9).all() and (table["model"] <= table["high"] + 1e-9).all()
    row = table.set_index("score").loc["accuracy"]
    assert row[LINEAR] == 1 and row[MAJORITY] == pytest.approx(0.5, abs=0.1)
    assert found.classes["class"].tolist() == ["bad", "good"] and found.classes["rows"].sum() == found.rows
    told = json.loads(found.to_json(tmp_path / "scores.json"))
    assert told["rows"] == found.rows and json.loads((tmp_path / "scores.json").read_text()) == told
    assert told["scores"][0]["model"] == found["accuracy"]
    assert "accuracy" in repr(found) and "validation rows" in repr(found) and "<table" in found._repr_html_()
    with pytest.raises(KeyError, match="'acuracy' is not among the scores"):
        found["acuracy"]


def test_a_single_column_of_zeros_and_ones(make, reviews):
    df = reviews.assign(good=(reviews["label"] == "good").astype(int))
    learn = make(df, label_col=["good"])
    learn.fit_one_cycle(1, 4e-3)
    found = evaluate(learn, df, compare=False, rounds=2)
    assert found["F1, macro"] == found["F1, micro"] == pytest.approx(found.classes["F1"][0])
    assert found.classes["class"].tolist() == ["good"] and found.classes["rows"].tolist() == [60]


def test_given_labels_and_probabilities():
    found = evaluate([1, 0, 1], [[0.4, 0.6], [0.9, 0.1], [0.8, 0.2]], rounds=20)
    assert found["accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("how", ["bins", "number", "several"])
def test_every_kind_of_target(make, reviews, how):
    rng = np.random.default_rng(0)
    amount = np.where(reviews["label"] == "good", 100, 10) * rng.lognormal(0, 0.1, len(reviews))
    df = reviews.assign(amount=amount, tags=[["x", label] if i % 3 else [] for i, label in enumerate(reviews["label"])])
    kinds = {
        "bins": ({"label_col": "amount", "bins": 3}, "quadratic kappa"),
        "number": ({"label_col": "amount", "task": "regression"}, "mean absolute error"),
        "several": ({"label_col": "tags"}, "F1, micro"),
    }
    learn = make(df, **kinds[how][0])
    learn.fit_one_cycle(4, 4e-3)
    found = evaluate(learn, df, rounds=20)
    assert kinds[how][1] in set(found.to_frame()["score"]) and LINEAR in found.to_frame()
    assert np.isfinite(found.to_frame()["model"]).all()
    assert (found.classes is None) == (how == "number")
    if how == "number":
        assert 1 < found["mean absolute error"] < 100  # in the target's own unit


def test_rows_that_cannot_be_judged(trained, reviews):
    df = reviews.head(12).copy()
    df.loc[0, "label"], df.loc[1, "text"], df.loc[2, "label"] = "ugly", None, None
    with pytest.warns(UserWarning, match=r"1 rows of classes that training never saw \(ugly\).*rows \[0\]"):
        found = evaluate(trained, df, rounds=10)
    assert found.rows == 9 and "ugly" in repr(found)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="none of the 2 rows can be evaluated"):
        evaluate(trained, df.head(2))


def test_no_labels_a_single_row_and_one_class(trained, reviews):
    alone = evaluate(trained, reviews[["text"]])
    assert not len(alone.to_frame()) and len(alone.predictions.to_frame()) == len(reviews)
    assert alone.predictions.to_frame().columns[:2].tolist() == ["label", "confidence"]
    one = evaluate(trained, reviews.head(1), rounds=5)
    assert one["accuracy"] in (0, 1) and np.isnan(one["ROC-AUC, macro"])
    same = evaluate(trained, reviews[reviews["label"] == "good"], rounds=5)
    assert same["accuracy"] == same["recall, micro"]


def test_a_learner_without_rows(trained, reviews, tmp_path):
    trained.export(tmp_path / "learn.pkl")
    again = load_learner(tmp_path / "learn.pkl")
    with pytest.raises(ValueError, match="no validation rows; give a DataFrame"):
        evaluate(again)
    found = evaluate(again, reviews, rounds=5)
    assert LINEAR not in found.to_frame() and found["accuracy"] > 0.5


def test_bad_probabilities():
    with pytest.raises(ValueError, match="1 of 2 rows have probabilities that are no numbers"):
        evaluate([0, 1], [[0.5, 0.5], [np.nan, 1.0]])
    with pytest.raises(ValueError, match="do not go together"):
        evaluate([0, 1, 1], [[0.5, 0.5], [0.2, 0.8]])
    with pytest.raises(ValueError, match="y_true holds 7, which is no class"):
        evaluate([0, 7], [[0.5, 0.5], [0.2, 0.8]])
    with pytest.raises(ValueError, match="2 names for 3 columns"):
        Predictions.from_probabilities([0], [[0.2, 0.3, 0.5]], ["a", "b"])


def test_baselines_where_there_is_little_to_learn():
    target = fit_target(pd.Series(["a", "b", "b"]))
    codes = np.array([0, 1, 1])
    assert majority(target, codes, 2).tolist()[0] == pytest.approx([1 / 3, 2 / 3])
    assert linear(target, codes, ["", "", ""], ["x"]) is None
    assert linear(target, codes, ["warm day", "cold night", "cold rain"], ["cold", "warm"]).argmax(1).tolist() == [1, 0]
    several = fit_target(pd.Series([["p", "q"], ["p"], ["p"]]))
    hot = several.encode(pd.Series([["p", "q"], ["p"], ["p"]]))
    assert (linear(several, hot, ["warm day", "cold night", "cold rain"], ["cold"])[:, 0] == 1).all()  # each row has it
