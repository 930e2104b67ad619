"""Confidence, and a calibration error equal to that of torchmetrics."""

import numpy as np
import pytest

from kickbert.evaluation.reliability import ExpectedCalibrationError, top_label


def test_the_top_label_of_classes_and_of_several_labels():
    confidence, correct = top_label(np.array([0, 0]), np.array([[0.7, 0.3], [0.2, 0.8]]))
    assert confidence.tolist() == [0.7, 0.8] and correct.tolist() == [True, False]
    confidence, correct = top_label(np.array([[0, 1]]), np.array([[0.25, 0.25]]))
    assert confidence.tolist() == [0.75, 0.75] and correct.tolist() == [True, False]


def test_the_calibration_error_of_sure_predictions():
    assert ExpectedCalibrationError(np.ones(5), np.ones(5, bool))(np.ones(5)) == 0
    assert ExpectedCalibrationError(np.ones(4), np.array([1, 0, 1, 0], bool))(np.ones(4)) == pytest.approx(0.5)


@pytest.mark.system
def test_the_calibration_error_equals_that_of_torchmetrics():
    import torch

    functional = pytest.importorskip("torchmetrics.functional.classification")
    rng = np.random.default_rng(0)
    probs, y_true = rng.dirichlet(np.ones(4), 500), rng.integers(0, 4, 500)
    pair = (torch.from_numpy(probs), torch.from_numpy(y_true))
    theirs = functional.multiclass_calibration_error(*pair, num_classes=4, n_bins=15, norm="l1")
    assert ExpectedCalibrationError(*top_label(y_true, probs))(np.ones(500)) == pytest.approx(float(theirs), abs=1e-6)
