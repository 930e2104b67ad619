"""Planted label errors are flagged in single-label and multi-label targets."""

import numpy as np
import pytest

from kickbert.targets.label_noise import label_confidence, suspected_errors


@pytest.fixture
def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of 600 rows, their labels, and the positions of the 30 wrong ones."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, 600)
    probs = np.full((600, 4), 0.05)
    probs[np.arange(600), codes] = 0.85
    probs *= rng.uniform(0.7, 1, probs.shape)
    wrong = rng.choice(600, 30, replace=False)
    codes[wrong] = (codes[wrong] + 1) % 4
    return probs / probs.sum(1, keepdims=True), codes, wrong


def test_wrong_labels_are_flagged_least_confident_first(planted):
    probs, codes, wrong = planted
    suspected = suspected_errors(probs, codes)
    assert set(suspected) <= set(wrong) and len(suspected) >= 27
    assert (np.diff(label_confidence(probs, codes)[suspected]) >= 0).all()
    assert len(suspected_errors(probs, codes, threshold=0.99)) == 0


def test_multi_label_errors_are_flagged_per_label(planted):
    probs, codes, wrong = planted
    labels = np.eye(4, dtype=np.float32)[codes]
    suspected = suspected_errors(probs, labels)
    assert set(wrong) <= set(suspected)
    assert (label_confidence(probs, labels)[suspected] <= label_confidence(probs, codes)[suspected]).all()


def test_a_class_without_rows_is_never_suggested():
    assert len(suspected_errors(np.array([[0.2, 0.8], [0.3, 0.7]]), np.array([0, 0]))) == 0


def test_labels_of_a_difficult_class_are_not_suspected_for_their_low_probability():
    easy, difficult = [[0.9, 0.05, 0.05]] * 8, [[0.3, 0.3, 0.4]] * 4
    wrong, unclear = [[0.3, 0.35, 0.35]], [[0.1, 0.5, 0.4]]  # only the unclear row reaches the mean of another class
    probs = np.array(easy + wrong + [[0.3, 0.5, 0.2]] * 4 + difficult + unclear)
    codes = np.repeat([0, 1, 2], [9, 4, 5])
    assert suspected_errors(probs, codes).tolist() == [8]
