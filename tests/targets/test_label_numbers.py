import numpy as np
import pytest

from kickbert.targets.label_numbers import LabelNumbers


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        ([1, 2], ["1", "2"]),
        (["1", "2"], [1, 2]),
        (["1", "2"], [1.0, np.float32(2)]),
        ([1.0, 2.0], ["1", "2.0"]),
        ([True, False], ["TRUE", "false"]),
        (["TRUE", "FALSE"], [np.True_, "False"]),
        ([1, 0], [True, False]),
        (["0.50", "1e3"], [0.5, 1000]),
        ([0.1, -0.0], ["0.10", "-0"]),
        ([10**20, 10**16], [str(10**20), str(10**16)]),
    ],
)
def test_the_same_label_written_differently(classes, labels):
    assert [LabelNumbers(classes).find(label) for label in labels] == [0, 1]


@pytest.mark.parametrize(
    ("classes", "label"),
    [
        (["01", "02"], 1),
        ([1, 2], "01"),
        ([1, 2], 1.5),
        (["TRUE", "True"], "true"),
        (["a"], "A"),
        ([1, 2], np.nan),
        ([1, 2], np.inf),
    ],
)
def test_what_differs_or_fits_two_classes_is_not_found(classes, label):
    assert LabelNumbers(classes).find(label) == -1


def test_an_equal_class_comes_before_one_that_is_written_alike():
    assert [LabelNumbers(["1", "1.0"]).find(label) for label in ("1", "1.0")] == [0, 1]
