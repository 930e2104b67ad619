"""Coverage and accuracy by confidence threshold, on four rows."""

import numpy as np
import pytest

from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.selective_prediction import coverage, threshold_for


def test_coverage_and_thresholds():
    probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    predictions = Predictions.from_probabilities([0, 0, 1, 0], probs)
    table = coverage(predictions, np.array([0.0, 0.75]))
    assert table["coverage"].tolist() == [1, 0.5] and table["accuracy"].tolist() == [0.75, 1]
    assert table["accuracy below"].tolist()[1] == 0.5
    assert threshold_for(predictions, 0.9) == 0.8 and threshold_for(predictions, 0.7) == 0.6
    with pytest.raises(ValueError, match=r"no threshold reaches accuracy=100\.0%: 50\.0% of the 2 most confident"):
        threshold_for(Predictions.from_probabilities([1, 0], probs[:2]), 1.0)
    assert len(coverage(predictions)) <= 20
