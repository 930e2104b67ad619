"""Where a model is wrong, on predictions that are made to be wrong in known places."""

import numpy as np
import pandas as pd
import pytest

from kickbert.evaluation import error_analysis
from kickbert.evaluation.data_slices import slices
from kickbert.evaluation.predictions import Predictions
from kickbert.targets.fitting import fit_target


@pytest.fixture
def found() -> Predictions:
    """400 rows of three classes: rows of plan «free» are wrong half the time, and «urgent» is taken for «bug»."""
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 3, 400)
    plan = np.where(rng.random(400) < 0.3, "free", "paid")
    wrong = (plan == "free") & (rng.random(400) < 0.5)
    y_pred = np.where(wrong, (y_true + 1) % 3, y_true)
    probs = np.full((400, 3), 0.1)
    probs[np.arange(400), y_pred] = 0.8
    probs[7, y_pred[7]] = 0.95
    probs /= probs.sum(1, keepdims=True)
    names = ["bug", "praise", "question"]
    words = rng.choice(["table", "window", "garden", "street"], (400, 4))
    texts = [f"{' '.join(w)} {'urgent' if bad else 'calm'} number" for w, bad in zip(words, wrong, strict=True)]
    df = pd.DataFrame(
        {"text": texts, "label": np.array(names)[y_true], "plan": plan, "price": rng.lognormal(3, 1, 400)}
    )
    df.index += 1000
    return Predictions(fit_target(df["label"]), probs, y_pred, y_true, texts, df)


def test_the_surest_mistakes_come_first(found):
    table = error_analysis.confident_mistakes(found, 10)
    places = table["row"].to_numpy() - 1000
    assert found.wrong[places].all() and table["confidence"].is_monotonic_decreasing
    assert (table["true"] != table["predicted"]).all() and table["text"].str.contains("urgent").all()


def test_confused_pairs(found):
    table = error_analysis.confused_pairs(found)
    assert table["rows"].sum() == found.wrong.sum() and set(table["predicted"]) == {"bug", "praise", "question"}
    row = table.iloc[0]
    names = found.target.names
    of_class = found.y_true == names.index(row["true"])
    assert row["share of true class"] == pytest.approx(row["rows"] / of_class.sum())


def test_the_weak_slice_is_named(found):
    pytest.importorskip("py3langid")
    table = slices(found)
    assert table["slice"].iloc[0] == "plan: free" and table["p"].iloc[0] < 1e-6
    inside = (found.df["plan"] == "free").to_numpy()
    assert table["accuracy"].iloc[0] == pytest.approx((~found.wrong[inside]).mean())
    assert table["slice"].str.startswith("price: ").sum() == 5 and not table["slice"].str.startswith("text").any()
    only = slices(found, ["price"], languages=False)
    assert only["slice"].str.match("price|words").all() and (only["p"] > 0.01).all()


def test_words_of_mistakes(found):
    table = error_analysis.misleading_words(found)
    assert (
        len(table) == 3
        and table["words"].str.contains("urgent").all()
        and not table["words"].str.contains("calm").any()
    )


def test_wrong_labels_are_listed_with_the_likely_right_one():
    real = np.tile([0, 1, 2, 3], 50)
    probs = np.where(np.eye(4, dtype=bool)[real], 0.85, 0.05)
    given = real.copy()
    given[[8, 21]] = (given[[8, 21]] + 1) % 4
    table = error_analysis.label_errors(Predictions.from_probabilities(given, probs))
    assert table["row"].tolist() == [8, 21] and table["suggested"].tolist() == ["0", "1"]
    assert table["quality"].tolist() == [0.05, 0.05]
    several = error_analysis.label_errors(Predictions.from_probabilities(np.eye(4)[given].astype(int), probs))
    assert several["row"].tolist() == [8, 21] and several["label"].tolist() == ["1", "2"]


def test_numbers_have_no_wrong_labels():
    target = fit_target(pd.Series([1.0, 2.0], name="x"), task="regression")
    with pytest.raises(ValueError, match=r"the task is regression\. Sort by the residuals"):
        error_analysis.label_errors(Predictions(target, np.zeros((2, 1)), np.zeros((2, 1)), np.zeros(2)))


def test_rows_that_training_had_are_named():
    texts = ["A lamp that  never goes out", "something else altogether", "a  lamp that never goes out!"]
    y_true = np.array([0, 1, 0])
    found = Predictions(fit_target(pd.Series(["a", "b", "a"])), np.eye(2)[y_true], y_true, y_true, texts)
    table = error_analysis.leaks(found, ["unrelated words of training", "a lamp that never goes out"])
    assert table["row"].tolist() == [0, 2] and table["training row"].tolist() == [1, 1]
    assert table["match"].tolist() == ["exact", "near"]
