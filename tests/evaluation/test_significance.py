"""Coverage of intervals, McNemar's test as a special case of the paired test, Holm's correction."""

import numpy as np
import pytest
from scipy.stats import binomtest

from kickbert.evaluation.significance import holm, intervals, paired_test


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
