"""Imbalanced classes: class weights for the loss, sampling weights for rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.class_weight import compute_class_weight

from kickbert.data.imbalance import class_weights, row_weights
from kickbert.targets.fitting import fit_target

LABELS = pd.Series(["a"] * 6 + ["b"] * 3 + ["c"])
TARGET = fit_target(LABELS)
CODES = TARGET.encode(LABELS)
LISTS = pd.Series([["x"], ["x", "y"], [], ["x"]])
SEVERAL = fit_target(LISTS)


def test_balanced_weights_equal_those_of_scikit_learn():
    expected = compute_class_weight("balanced", classes=np.arange(3), y=CODES)
    assert np.allclose(class_weights("balanced", TARGET, CODES), expected)
    assert class_weights("balanced", SEVERAL, SEVERAL.encode(LISTS)).tolist() == pytest.approx([1 / 3, 3])


def test_weights_by_class():
    assert class_weights({"c": 4}, TARGET, CODES).tolist() == [1, 1, 4]
    assert class_weights(None, TARGET, CODES) is None


def test_sampling_weights_balance_the_classes():
    weights = row_weights("balanced", TARGET, CODES)
    assert np.bincount(CODES, weights=weights).tolist() == pytest.approx([1 / 3] * 3)
    weights = row_weights("balanced", SEVERAL, SEVERAL.encode(LISTS))
    assert weights.sum() == pytest.approx(1) and weights[1] == weights.max() and (weights > 0).all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"d": 1}, r"unknown class 'd'\. Classes: \['a', 'b', 'c'\]"),
        ({"a": 0}, "positive numbers"),
        ("even", "must be 'balanced' or a dict"),
    ],
)
def test_invalid_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        class_weights(weights, TARGET, CODES)


def test_numbers_have_no_classes():
    target = fit_target(pd.Series([1.0, 2.0], name="x"), task="regression")
    with pytest.raises(ValueError, match="requires a task with classes, not regression"):
        class_weights("balanced", target, np.zeros(2))
    with pytest.raises(ValueError, match="sampling='balanced' must be None"):
        row_weights("balanced", target, np.zeros(2))
