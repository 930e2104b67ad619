"""Scores of groups of rows: by a column, or by the detected language of the texts."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as skm

from kickbert import evaluate
from kickbert.evaluation.groups import group_scores
from kickbert.evaluation.predictions import Predictions
from kickbert.targets.fitting import fit_target


@pytest.fixture
def trained(make, reviews):
    learn = make(reviews)
    learn.fit_one_cycle(2, 4e-3)
    return learn


def test_by_a_column(trained, reviews, tmp_path):
    df = reviews.assign(country=["nl", "fr", None, "fr"] * 30)
    evaluation = evaluate(trained, df, by="country", compare=False, rounds=20)
    groups = evaluation.groups
    assert groups.columns.tolist() == ["country", "rows", "score", "model", "low", "high"]
    assert groups["country"].fillna("none").tolist() == ["fr", "fr", "nl", "nl", "none", "none"]
    assert groups["rows"].tolist() == [60, 60, 30, 30, 30, 30]
    assert set(groups["score"]) == {"accuracy", "macro-F1"}
    assert (groups["low"] <= groups["model"] + 1e-9).all() and (groups["model"] <= groups["high"] + 1e-9).all()
    predicted = trained.predict_df(df)["predicted_label"]
    french = df["country"] == "fr"
    row = groups.set_index(["country", "score"]).loc[("fr", "accuracy")]
    assert row["model"] == pytest.approx(skm.accuracy_score(df["label"][french], predicted[french]))
    again = evaluate(trained, df, by="country", compare=False, rounds=20)
    pd.testing.assert_frame_equal(groups, again.groups)
    assert "country" in repr(evaluation) and evaluation._repr_html_().count("<table") == 2
    written = json.loads(evaluation.to_json(tmp_path / "scores.json"))["groups"]
    assert len(written) == 6 and written[0]["model"] == pytest.approx(groups["model"][0])
    assert evaluate(trained, df, compare=False, rounds=2).groups is None


def test_by_detected_language(trained, reviews):
    pytest.importorskip("py3langid", reason="the extra kickbert[report] is not installed")
    texts = [
        "this is a wonderful story about a family and its old house",
        "das ist eine wunderbare Geschichte über eine Familie",
    ] * 10
    df = pd.DataFrame({"text": texts, "label": ["good", "bad"] * 10})
    groups = evaluate(trained, df, by="language", compare=False, rounds=5).groups
    assert groups["language"].tolist() == ["de", "de", "en", "en"] and (groups["rows"] == 10).all()
    own = evaluate(trained, df.assign(language="xx"), by="language", compare=False, rounds=5).groups
    assert own["language"].unique().tolist() == ["xx"]  # a column of that name is taken as it is
    assert evaluate(trained, by="language", compare=False, rounds=5).groups["rows"].sum() == 2 * len(
        trained.dls.valid_ds
    )


@pytest.mark.parametrize("task", ["ordinal", "several", "number"])
def test_the_main_scores_fit_the_task(task):
    df = pd.DataFrame({"part": ["a", "b"] * 20})
    amount = pd.Series(np.linspace(0, 9, 40), name="amount")
    several = pd.Series([["x"], ["y"], ["y"], ["x", "y"]] * 10, name="tags")
    target, names = {
        "ordinal": (fit_target(amount, bins=3), {"accuracy", "quadratic kappa"}),
        "several": (fit_target(several), {"micro-F1", "macro-F1"}),
        "number": (fit_target(amount, task="regression"), {"R2", "mean absolute error"}),
    }[task]
    truth = target.encode(several if task == "several" else amount)
    probs = np.eye(3)[truth] if task == "ordinal" else truth.astype(float).reshape(40, -1)
    predictions = Predictions(target, probs, target.decide(probs).reshape(truth.shape), truth, df=df)
    groups = group_scores(predictions, "part", rounds=5)
    assert set(groups["score"]) == names and groups["rows"].tolist() == [20] * 4
    perfect = groups[groups["score"] != "mean absolute error"]
    assert perfect["model"].to_numpy() == pytest.approx(1)
    assert groups.loc[groups["score"] == "mean absolute error", "model"].to_numpy() == pytest.approx(0, abs=1e-5)


def test_invalid_groups(trained, reviews):
    with pytest.raises(ValueError, match=r"by='contry' is not a column of df.*Did you mean 'country'"):
        evaluate(trained, reviews.assign(country="nl"), by="contry", compare=False, rounds=2)
    with pytest.raises(ValueError, match="by='country' needs a DataFrame with that column"):
        evaluate(trained, by="country", compare=False, rounds=2)
    with pytest.raises(ValueError, match="by='language' needs a DataFrame with that column"):
        evaluate([0, 1], [[0.5, 0.5], [0.2, 0.8]], by="language", rounds=2)
    many = pd.concat([reviews] * 2, ignore_index=True).assign(number=range(240))
    with pytest.raises(ValueError, match="by='number' has 240 different values, more than 200 groups"):
        evaluate(trained, many, by="number", compare=False, rounds=2)
