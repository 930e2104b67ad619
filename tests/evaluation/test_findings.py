"""The three sentences about the mistakes of a model."""

import numpy as np

from kickbert.evaluation.error_analysis import confused_pairs
from kickbert.evaluation.evaluation import evaluate
from kickbert.evaluation.findings import findings
from kickbert.evaluation.predictions import Predictions


def test_the_weakest_class_the_confusion_and_the_calibration(mistakes):
    weakest, confusion, calibration = findings(evaluate(mistakes, rounds=5))
    assert weakest.startswith("Lowest recall: ")
    first = confused_pairs(mistakes).iloc[0]
    assert (
        confusion == f"Most confused: {first['true']!r} is predicted as {first['predicted']!r} in {first['rows']} rows."
    )
    error = evaluate(mistakes, rounds=5)["expected calibration error"]
    assert f" by {100 * error:.0f} points on average" in calibration


def test_a_model_without_mistakes():
    y_true = np.arange(60) % 2
    right = Predictions.from_probabilities(y_true, np.eye(2)[y_true] * 0.98 + 0.01)
    assert "No row is wrong." in findings(evaluate(right, rounds=5))
    assert findings(evaluate(right, rounds=5))[-1].endswith("by 1 points on average.")


def test_several_labels_have_no_confused_pair():
    y_true = np.tile([[1, 0], [0, 1]], (40, 1))
    sentences = findings(evaluate(Predictions.from_probabilities(y_true, 1 - y_true * 0.9 - 0.05), rounds=5))
    assert sentences and not any("Most confused" in sentence for sentence in sentences)
