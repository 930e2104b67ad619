"""A column that gives the target away has a skill of one; a column of noise has none."""

import numpy as np
import pytest

from kickbert.tabular.leaks import LEAK, skill

TARGET = np.repeat(np.arange(4), 60)


def test_the_target_itself_and_noise():
    rng = np.random.default_rng(0)
    order = rng.permutation(len(TARGET))
    target = TARGET[order]
    assert skill(target[:, None].astype(float), target) == 1
    assert skill((target * 100 + rng.random(len(target)))[:, None], target) > LEAK
    assert skill(rng.random((len(target), 1)), target) < 0.2
    assert skill(np.zeros((len(target), 1)), target) == 0


def test_two_values_cannot_tell_four_classes_apart_and_may_be_a_leak_nevertheless():
    half = (TARGET >= 2).astype(float)[:, None]
    assert skill(half, TARGET) == pytest.approx(1, abs=0.05)
    assert skill(np.array([0, 1] * 120, dtype=float)[:, None], TARGET) < 0.2


def test_of_several_labels_the_best_predicted_one_counts():
    labels = np.stack([TARGET == 1, np.tile([0, 1], 120)], axis=1).astype(float)
    assert skill((TARGET == 1).astype(float)[:, None], labels) == 1
