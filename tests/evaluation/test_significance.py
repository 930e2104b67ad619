"""Coverage of intervals, McNemar's test as a special case of the paired test, Holm's correction."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import all_scores, main_scores
from kickbert.evaluation.significance import (
    compare_scores,
    holm,
    intervals,
    paired_test,
    score_intervals,
    undefined_intervals,
)


def test_holm_multiplies_by_the_number_of_tests_that_are_left_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.04, 0.001]) == pytest.approx([0.04, 0.002])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_the_paired_test_of_zeros_and_ones_is_mcnemars():
    a, b = np.zeros(200), np.zeros(200)
    a[:4], b[4:19] = 1, 1  # 4 rows are wrong only in the first, 15 only in the second
    exact = binomtest(4, 19).pvalue
    assert paired_test(a, b) == pytest.approx(exact, abs=0.006) and 0.01 < exact < 0.03
    assert paired_test(a, a) == 1.0
    assert paired_test(a, b, seed=1) == paired_test(a, b, seed=1)


def test_intervals_have_their_coverage():
    held = 0
    for seed in range(200):
        right = np.random.default_rng(seed).random(200) < 0.8
        table = intervals(lambda w, right=right: {"accuracy": np.average(right, weights=w)}, 200, 200, seed)
        low, high = table.loc["accuracy"]
        held += low <= 0.8 <= high
    assert 180 <= held <= 198  # 95% of 200; a percentile interval of a share covers slightly less


def perfect(rows: int) -> Predictions:
    """Correct predictions, half of each class, with different confidences."""
    y_true = np.arange(rows) % 2
    sure = np.linspace(0.6, 0.9, rows)
    return Predictions.from_probabilities(y_true, np.where(y_true[:, None] == [0, 1], sure[:, None], 1 - sure[:, None]))


def test_thirty_of_thirty_correct_rows_are_no_proof_of_100_percent():
    table = score_intervals(all_scores(perfect(30)), 30, rounds=20)
    assert table.loc["accuracy"].tolist() == pytest.approx([0.8865, 1.0], abs=1e-4)
    assert table.loc["micro-F1"].equals(table.loc["accuracy"].rename("micro-F1"))  # the same share
    assert table.loc[["macro-F1", "ROC-AUC"]].isna().all(None)
    assert table.loc["log loss", "low"] < table.loc["log loss", "high"]
    compared = compare_scores(perfect(30), perfect(30), rounds=20)
    assert compared.loc["first", "low"] == pytest.approx(0.8865, abs=1e-4)
    assert compared.loc["difference"].tolist() == [0, 0, 0]  # of paired rows


def test_subset_accuracy_is_a_share_and_micro_f1_of_several_labels_is_not():
    y_true = np.tile([[1, 0], [1, 1]], (10, 1))
    predictions = Predictions.from_probabilities(y_true, np.where(y_true, 0.9, 0.1))
    table = score_intervals(main_scores(predictions), 20, rounds=20)
    assert table.loc["subset accuracy", "low"] == pytest.approx(0.8389, abs=1e-4)
    assert np.isnan(table.loc["micro-F1", "low"])


def test_a_note_names_scores_without_an_interval():
    table = pd.DataFrame(
        {"score": ["accuracy", "R2", "MCC"], "model": [1.0, np.nan, 1.0], "low": [0.9, np.nan, np.nan]}
    )
    assert undefined_intervals(table) == ["The interval of MCC is not defined: all bootstrap samples are equal"]
    assert undefined_intervals(table.head(2)) == []
    both = undefined_intervals(table.assign(model=1.0), " in some groups")
    assert both == ["The intervals of R2, MCC are not defined in some groups: all bootstrap samples are equal"]
