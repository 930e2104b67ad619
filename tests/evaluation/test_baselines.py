"""Baselines predict the majority class, or by words; also with little training data."""

import numpy as np
import pandas as pd
import pytest

from kickbert.evaluation.baselines import LINEAR, MAJORITY, baseline_predictions, linear, majority, tied_classes
from kickbert.evaluation.predictions import Predictions
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


def test_the_majority_is_that_of_the_training_rows_and_left_out_on_a_tie():
    target = fit_target(pd.Series(["a", "b", "b"]))
    rows = Predictions(target, np.eye(2)[[0, 0]], np.array([0, 0]), np.array([0, 0]), ["warm", "warm"])
    out = baseline_predictions(rows, TRAIN, np.array([0, 1, 1]), None)
    assert out[MAJORITY].y_pred.tolist() == [1, 1]  # although both rows are of the other class
    tied = baseline_predictions(rows, [*TRAIN, "warm"], np.array([0, 1, 1, 0]), None)
    assert list(tied) == [LINEAR]
    assert tied_classes(target, np.array([0, 1, 1, 0])) == ["a", "b"] and not tied_classes(target, np.array([0, 1, 1]))


def test_only_single_labels_can_tie():
    number = fit_target(pd.Series([1.0, 2.0, 30.0]), task="regression")
    several = fit_target(labels := pd.Series([["p", "q"], ["p"], ["q"]]))
    ranks = fit_target(pd.Series([1.0, 2.0, 3.0, 4.0]), bins=2)
    assert not tied_classes(number, np.array([0.0, 0.0])) and not tied_classes(several, several.encode(labels))
    assert not tied_classes(ranks, np.array([0, 1]))  # their median is guessed
