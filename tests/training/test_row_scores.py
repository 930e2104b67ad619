"""Scores of single rows, and the interval of a gain."""

import numpy as np
import pytest

from kickbert.training.row_scores import paired_gain


def test_the_interval_of_a_gain_has_its_coverage():
    rng, covered = np.random.default_rng(0), []
    for _ in range(400):
        before = rng.random(500) < 0.8
        after = np.where(rng.random(500) < 0.1, rng.random(500) < 0.9, before)
        gain = paired_gain(after.astype(float), before.astype(float))
        covered.append(gain["low"] <= 1.0 <= gain["high"])  # 10% of the rows go from 80% to 90% right
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)
