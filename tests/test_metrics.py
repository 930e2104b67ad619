"""Metrics are of decisions; thresholds are the best there are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from kickbert.metrics import best_thresholds


@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 200))
def test_no_threshold_is_better(rows, labels, seed):
    rng = np.random.default_rng(seed)
    probs, truth = rng.integers(0, 20, (rows, labels)) / 20, rng.integers(0, 2, (rows, labels))
    found = best_thresholds(probs, truth)
    for label in range(labels):
        if not truth[:, label].any():
            assert found[label] == 0.5
            continue
        tried = [f1_score(truth[:, label], probs[:, label] >= t, zero_division=0) for t in np.unique(probs[:, label])]
        reached = f1_score(truth[:, label], probs[:, label] >= found[label], zero_division=0)
        assert reached == pytest.approx(max(tried))
