"""Error analysis of predictions with known mistakes."""

import numpy as np
import pandas as pd
import pytest

from kickbert.evaluation import error_analysis
from kickbert.evaluation.predictions import Predictions
from kickbert.targets.fitting import fit_target


def test_the_most_confident_mistakes_come_first(mistakes):
    table = error_analysis.confident_mistakes(mistakes, 10)
    positions = table["row"].to_numpy() - 1000
    assert mistakes.wrong[positions].all() and table["confidence"].is_monotonic_decreasing
    assert (table["true"] != table["predicted"]).all() and table["text"].str.contains("urgent").all()


def test_confused_pairs(mistakes):
    table = error_analysis.confused_pairs(mistakes)
    assert table["rows"].sum() == mistakes.wrong.sum() and set(table["predicted"]) == {"bug", "praise", "question"}
    row = table.iloc[0]
    names = mistakes.target.names
    of_class = mistakes.y_true == names.index(row["true"])
    assert row["share of true class"] == pytest.approx(row["rows"] / of_class.sum())


def test_words_of_mistakes(mistakes):
    table = error_analysis.misleading_words(mistakes)
    assert (
        len(table) == 3
        and table["words"].str.contains("urgent").all()
        and not table["words"].str.contains("calm").any()
    )


def test_wrong_labels_are_listed_with_the_likely_right_one():
    real = np.tile([0, 1, 2, 3], 50)
    probs = np.where(np.eye(4, dtype=bool)[real], 0.85, 0.05)
    labels = real.copy()
    labels[[8, 21]] = (labels[[8, 21]] + 1) % 4
    table = error_analysis.label_errors(Predictions.from_probabilities(labels, probs))
    assert table["row"].tolist() == [8, 21] and table["suggested"].tolist() == ["0", "1"]
    assert table["quality"].tolist() == [0.05, 0.05]
    several = error_analysis.label_errors(Predictions.from_probabilities(np.eye(4)[labels].astype(int), probs))
    assert several["row"].tolist() == [8, 21] and several["label"].tolist() == ["1", "2"]


def test_numbers_have_no_wrong_labels():
    target = fit_target(pd.Series([1.0, 2.0], name="x"), task="regression")
    with pytest.raises(ValueError, match=r"the task is regression\. Sort by the residuals"):
        error_analysis.label_errors(Predictions(target, np.zeros((2, 1)), np.zeros((2, 1)), np.zeros(2)))


def test_training_rows_are_listed():
    texts = ["A lamp that  never goes out", "something else altogether", "a  lamp that never goes out!"]
    y_true = np.array([0, 1, 0])
    predictions = Predictions(fit_target(pd.Series(["a", "b", "a"])), np.eye(2)[y_true], y_true, y_true, texts)
    table = error_analysis.leaks(predictions, ["unrelated words of training", "a lamp that never goes out"])
    assert table["row"].tolist() == [0, 2] and table["training row"].tolist() == [1, 1]
    assert table["match"].tolist() == ["exact", "near"]
