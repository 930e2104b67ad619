"""Decision thresholds of multi-label targets: optimal, and stable for rare labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kickbert.targets.thresholds import best_thresholds


def f1(true: np.ndarray, predicted: np.ndarray) -> float:
    return 2 * (true & predicted).sum() / (true.sum() + predicted.sum())


@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 200))
def test_no_threshold_is_better(rows, labels, seed):
    rng = np.random.default_rng(seed)
    probs, truth = rng.integers(0, 20, (rows, labels)) / 20, rng.integers(0, 2, (rows, labels))
    thresholds = best_thresholds(probs, truth, prior=0)
    for label in range(labels):
        if not truth[:, label].any():
            continue
        best = max(f1(truth[:, label], probs[:, label] >= threshold) for threshold in np.unique(probs[:, label]))
        assert f1(truth[:, label], probs[:, label] >= thresholds[label]) == pytest.approx(best)


def test_the_threshold_of_a_rare_label_is_close_to_the_overall_one():
    rng = np.random.default_rng(0)
    truth = np.stack([rng.random(2000) < 0.4, rng.random(2000) < 0.4, rng.random(2000) < 0.001], 1)
    probs = np.clip(rng.normal(0.2 + 0.4 * truth, 0.15), 0, 1)
    probs[:, 2] /= 20  # the model rarely predicts it, and its two rows rank by chance
    alone = best_thresholds(probs, truth, prior=0)
    smoothed = best_thresholds(probs, truth)
    assert alone[2] < 0.1 and smoothed[2] == pytest.approx(smoothed[0], abs=0.15)
    assert smoothed[:2] == pytest.approx(alone[:2], abs=0.05)


def test_a_frequent_label_keeps_its_own_threshold():
    rng = np.random.default_rng(1)
    truth = rng.random((4000, 2)) < 0.3
    probs = np.clip(rng.normal(0.2 + 0.4 * truth, 0.1), 0, 1)
    probs[:, 1] /= 2
    thresholds = best_thresholds(probs, truth)
    assert thresholds[0] == pytest.approx(0.4, abs=0.1) and thresholds[1] == pytest.approx(0.2, abs=0.05)


def test_without_positive_rows_the_threshold_is_one_half():
    assert best_thresholds(np.array([[0.2, 0.9]]), np.zeros((1, 2))).tolist() == [0.5, 0.5]
