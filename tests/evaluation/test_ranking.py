"""Equal scores are a single point of the curve."""

import warnings

import numpy as np

from kickbert.evaluation.ranking import Ranking


def test_ties_count_half():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        auc, average_precision = Ranking(np.array([[1], [0]], bool), np.array([[0.5], [0.5]]))(np.ones(2))
    assert auc.tolist() == [0.5] and average_precision.tolist() == [0.5]
