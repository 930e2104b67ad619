"""The task is inferred from the target column, and the target is fitted on the training rows."""

import numpy as np
import pandas as pd
import pytest

from kickbert.targets.bins import Bins
from kickbert.targets.continuous import Continuous
from kickbert.targets.fitting import fit_target, guess_kind
from kickbert.targets.labels import Labels, OrderedLabels
from kickbert.targets.multi_labels import MultiLabels


@pytest.mark.parametrize(
    ("values", "how", "kind"),
    [
        (["a", "b"] * 5, {}, Labels),
        (list(range(10)) * 2, {}, Labels),
        ([1.5, 2.5] * 20, {}, Labels),
        (list(np.linspace(0, 9, 150)), {}, Continuous),
        (list(range(150)) * 2, {}, Continuous),
        (list(range(150)), {}, Labels),  # unique integers may be row numbers
        ([1.0, 2.0, 3.0], {"bins": 2}, Bins),
        (pd.Categorical(["s", "l"], categories=["s", "l"], ordered=True), {}, OrderedLabels),
        (["a|b", "a"], {"delim": "|"}, MultiLabels),
        ([["a"], []], {}, MultiLabels),
        ([("a", "b"), {"b"}], {}, MultiLabels),
    ],
)
def test_the_kind_is_inferred(values, how, kind):
    assert guess_kind(pd.Series(values, name="y"), **how) is kind


def test_ordered_categories_keep_their_order():
    sizes = pd.Series(pd.Categorical(["l", "s", "m", "s"], categories=["s", "m", "l", "xl"], ordered=True))
    target = fit_target(sizes)
    assert target.is_ordered and target.classes == ("s", "m", "l")
    assert target.encode(sizes).tolist() == [2, 0, 1, 0]
    with pytest.raises(ValueError, match=r"ordered pd\.Categorical"):
        fit_target(pd.Series(["s", "m"]), task="ordinal")


@pytest.mark.parametrize(
    ("values", "how", "message"),
    [
        (["a", "b", "7"], {"bins": 2}, "2 of 3 cells of 'y' are not numbers, such as 'a'.*leave bins out"),
        ([1.0, 1.0, 2.0], {"bins": 4}, r"2 distinct values \[1.0, 2.0\] cannot fill bins=4"),
        ([1.0, 2.0, 3.0], {"bins": 1}, "bins=1 is too few"),
        ([1.0, 2.0, 3.0], {"bins": [5, 3]}, "ascending inner edges"),
        ([1.0, np.inf, 3.0], {"bins": 2}, r"1 of 3 cells of 'y' are not finite: rows \[1\]"),
        ([1.0, -np.inf, 3.0], {"task": "regression"}, "not finite"),
        ([2.0, 2.0], {"task": "regression"}, "only one number"),
        (["a", "b"], {"task": "regression"}, "are not numbers"),
        (["a", "a"], {}, "holds only one class"),
        (list("abcdef"), {}, "6 different values in 6 rows"),
        (list(range(150)), {}, "for a number, bins=4 or task='regression'"),
        ([1.0, 2.0], {"task": "ordnal"}, "task='ordnal' is not one of"),
        ([1.0, 2.0], {"task": "regression", "bins": 2}, "Omit one of the two"),
        (["a", "a"], {"delim": ";"}, r"holds 1 labels, \['a'\]; is label_delim=';' the delimiter"),
    ],
)
def test_invalid_targets(values, how, message):
    with pytest.raises(ValueError, match=message):
        fit_target(pd.Series(values, name="y"), **how)


def test_labels_set_the_order_of_the_classes():
    values = pd.Series(["high", "low", "high"], name="size")
    target = fit_target(values, labels=["low", "high"])
    assert target.classes == ("low", "high") and target.encode(values).tolist() == [1, 0, 1]
    ordinal = fit_target(values, labels=["low", "high"], task="ordinal")
    assert ordinal.is_ordered and ordinal.classes == ("low", "high")
    with pytest.warns(UserWarning, match=r"no training row has \['mid'\] of labels"):
        assert fit_target(values, labels=["low", "mid", "high"]).classes == ("low", "mid", "high")
    buckets = fit_target(pd.Series([1.0, 2, 3, 4]), bins=2, labels=["little", "much"])
    assert buckets.names == ["little", "much"] and buckets.encode(pd.Series([1, 9])).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("values", "how", "message"),
    [
        (["a", "b"], {"labels": "ab"}, "labels='ab' is a str; give a list"),
        (["a", "b", "c"], {"labels": ["a", "b"]}, r"'y' holds 'c', which is not one of labels=\['a', 'b'\]"),
        ([["a"], ["c", "b"]], {"labels": ["a", "b"]}, r"'y' holds 'c', which is not one of labels"),
        ([[1, 0, 1], [0, 1, 0]], {"labels": ["a", "b"]}, r"are 2 names, and the lists of column 'y' have 3 positions"),
        ([1.0, 2.0, 3.0, 4.0], {"bins": 2, "labels": ["a", "b", "c"]}, "name 3 buckets, and bins=2 make 2"),
        ([1.0, 2.0], {"task": "regression", "labels": ["a", "b"]}, "but a number has none; leave labels out"),
        ([1, "1", 2, 2], {}, r"two classes of column 'y' are both written '1' \(int and str\)"),
        ([[1, 2], ["1"]], {}, r"two classes of column 'y' are both written '1' \(int and str\)"),
        ([1.0, 2.0, 3.0, 4.0], {"bins": [1.5, 2.5, 3.5], "form": lambda v: "x"}, "are both written 'x–x'"),
        (
            [[1, 0], [0, 1]],
            {"task": "single label"},
            r"holds lists, such as \[1, 0\].*one-hot lists",
        ),
    ],
)
def test_labels_that_cannot_be(values, how, message):
    with pytest.raises(ValueError, match=message):
        fit_target(pd.Series(values, name="y"), **how)


def test_columns_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"two classes of label_col=\[1, '1'\] are both written '1'"):
        fit_target(pd.DataFrame({1: [0, 1], "1": [1, 0]}))
