"""Baselines predict the majority class, or by words; also with little training data."""

import numpy as np
import pandas as pd
import pytest

from kickbert.evaluation.baselines import linear, majority
from kickbert.targets.fitting import fit_target

TRAIN = ["warm day", "cold night", "cold rain"]


def test_the_majority_is_the_share_of_each_class():
    target = fit_target(pd.Series(["a", "b", "b"]))
    assert majority(target, np.array([0, 1, 1]), 2).tolist() == [pytest.approx([1 / 3, 2 / 3])] * 2


def test_the_majority_of_several_labels_and_of_numbers():
    labels = pd.Series([["p", "q"], ["p"], ["p"]])
    target = fit_target(labels)
    assert majority(target, target.encode(labels), 1)[0] == pytest.approx([1, 1 / 3])
    number = fit_target(pd.Series([1.0, 2.0, 30.0]), task="regression")
    assert majority(number, np.array([-1.0, 0.0, 5.0]), 2).tolist() == [[0.0], [0.0]]  # the median


def test_words_predict_classes_and_numbers():
    target = fit_target(pd.Series(["a", "b", "b"]))
    probs = linear(target, np.array([0, 1, 1]), TRAIN, ["cold", "warm"])
    assert probs.argmax(1).tolist() == [1, 0] and probs.sum(1) == pytest.approx([1, 1])
    number = fit_target(pd.Series([30.0, 1.0, 2.0]), task="regression")
    values = linear(number, number.encode(pd.Series([30.0, 1.0, 2.0])), TRAIN, ["cold", "warm"])
    assert values.shape == (2, 1) and values[0, 0] < values[1, 0]


def test_where_there_is_nothing_to_learn_from():
    target = fit_target(pd.Series(["a", "b", "b"]))
    assert linear(target, np.array([0, 1, 1]), ["", "", ""], ["x"]) is None  # not one word
    assert linear(target, np.array([1, 1, 1]), TRAIN, ["x"]) is None  # one class alone


def test_a_label_that_every_row_has_is_certain():
    labels = pd.Series([["p", "q"], ["p"], ["p"]])
    target = fit_target(labels)
    probs = linear(target, target.encode(labels), TRAIN, ["cold"])
    assert probs[0, 0] == 1 and 0 < probs[0, 1] < 1
