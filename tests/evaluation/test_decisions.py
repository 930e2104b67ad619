"""Counts of decisions become scores; scikit-learn is the reference (all scores: test_scores.py)."""

import numpy as np
import pytest
from sklearn import metrics as skm

from kickbert.evaluation.decisions import averaged_scores, class_decisions, label_decisions, precision_recall_f1

Y_TRUE = np.array([0, 0, 1, 1, 2, 2, 2])
Y_PRED = np.array([0, 1, 1, 1, 2, 0, 2])


def test_a_class_that_is_never_predicted_scores_zero():
    precision, recall, f1 = precision_recall_f1(np.array([0.0, 2.0]), np.array([2.0, 2.0]), np.array([0.0, 4.0]))
    assert precision.tolist() == [0, 0.5] and recall.tolist() == [0, 1] and f1.tolist() == pytest.approx([0, 2 / 3])
    scores = averaged_scores(np.array([0.0, 2.0]), np.array([2.0, 2.0]), np.array([0.0, 4.0]))
    assert scores["macro-F1"] == pytest.approx(1 / 3) and scores["micro-recall"] == 0.5


def test_a_weight_counts_as_repeated_rows():
    weight = np.array([1.0, 0, 3, 1, 2, 1, 1])
    scores = class_decisions(Y_TRUE, Y_PRED, ordered=True)(weight)
    y_true, y_pred = (np.repeat(y, weight.astype(int)) for y in (Y_TRUE, Y_PRED))
    assert scores["accuracy"] == pytest.approx(skm.accuracy_score(y_true, y_pred))
    assert scores["MCC"] == pytest.approx(skm.matthews_corrcoef(y_true, y_pred))
    assert scores["quadratic kappa"] == pytest.approx(skm.cohen_kappa_score(y_true, y_pred, weights="quadratic"))


def test_kappa_of_a_single_class_is_undefined_and_unordered_classes_have_none():
    ones = np.ones(3)
    assert np.isnan(class_decisions(np.zeros(3, int), np.zeros(3, int), ordered=True)(ones)["quadratic kappa"])
    assert "quadratic kappa" not in class_decisions(np.zeros(3, int), np.zeros(3, int))(ones)


def test_several_labels():
    scores = label_decisions(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]))(np.ones(2))
    assert scores["subset accuracy"] == 0.5 and scores["Hamming loss"] == 0.25
