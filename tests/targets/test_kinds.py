"""What is predicted: read from columns of every kind, guessed, encoded, and framed as predictions."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kickbert.data.transforms import target_tensor, target_transforms
from kickbert.targets.fitting import fit_target, guess_task
from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION, SINGLE, described
from kickbert.targets.multilabel import from_columns, label_lists


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["b", "a", "b"], ("a", "b")),
        ([2, 1, 2], (1, 2)),
        ([True, False, True], (False, True)),
        ([1.0, 2.0, 1.0], (1.0, 2.0)),
        (pd.Categorical(["low", "high", "low"], categories=["low", "mid", "high"]), ("low", "high")),
        (["a", 1, "a"], (1, "a")),
    ],
)
def test_labels_of_any_type_come_back_as_they_were(values, classes):
    series = pd.Series(values, name="label")
    target = fit_target(series)
    assert target.classes == classes and target.task == SINGLE
    codes = target.encode(series)
    assert codes.dtype == np.int64
    back = target.decode(codes)
    assert back == list(values) and [type(b) for b in back] == [type(c) for c in pd.Series(list(values)).tolist()]


def test_labels_are_told_when_training_never_saw_them():
    target = fit_target(pd.Series(["a", "b"] * 3))
    later = pd.Series(["a", "new", "b"], index=[7, 8, 9])
    assert target.encode(later).tolist() == [0, -1, 1]
    bad, names = target.unknown(later)
    assert bad.tolist() == [False, True, False] and names == ["new"]


@pytest.mark.parametrize(
    ("values", "how", "task"),
    [
        (["a", "b"] * 5, {}, SINGLE),
        (list(range(10)) * 2, {}, SINGLE),
        ([1.5, 2.5] * 20, {}, SINGLE),
        (list(np.linspace(0, 9, 150)), {}, REGRESSION),
        (list(range(150)) * 2, {}, REGRESSION),
        (list(range(150)), {}, SINGLE),  # numbers that are all different may well be row numbers
        ([1.0, 2.0, 3.0], {"bins": 2}, ORDINAL),
        (pd.Categorical(["s", "l"], categories=["s", "l"], ordered=True), {}, ORDINAL),
        (["a|b", "a"], {"delim": "|"}, MULTI),
        ([["a"], []], {}, MULTI),
        ([("a", "b"), {"b"}], {}, MULTI),
    ],
)
def test_the_task_is_guessed(values, how, task):
    assert guess_task(pd.Series(values, name="y"), **how) == task


def test_columns_of_zeros_and_ones_are_several_labels():
    df = pd.DataFrame({"x": [1, 0, 0], "y": [True, False, True], "z": [1.0, np.nan, 0.0]})
    target = fit_target(df)
    assert target.task == MULTI and target.names == ["x", "y", "z"]
    assert target.encode(df[["z", "y", "x"]]).tolist() == [[1, 1, 1], [0, 0, 0], [0, 1, 0]]
    with pytest.raises(ValueError, match=r"'y' holds 2 in 1 rows"):
        from_columns(pd.DataFrame({"x": [0, 1], "y": [0, 2]}))


def test_labels_in_a_string_or_a_list():
    strings = pd.Series(["b|a", "", None, "c | a", "a||a|"])
    target = fit_target(strings, delim="|")
    assert target.classes == ("a", "b", "c")
    assert target.encode(strings).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 1], [1, 0, 0]]
    lists = fit_target(pd.Series([["R&B|Soul"], ["Rock"], []]))  # a list may hold what would part a string
    assert lists.classes == ("R&B|Soul", "Rock")
    bad, names = target.unknown(pd.Series(["a|new", "b"]))
    assert bad.tolist() == [True, False] and names == ["new"]
    assert target.encode(pd.Series(["a|new"])).tolist() == [[1, 0, 0]]


@given(st.lists(st.lists(st.sampled_from(["abc", "d"]), unique=True), min_size=1))
def test_strings_of_labels_are_read_as_they_were_written(rows):
    assert label_lists(pd.Series(["|".join(row) for row in rows], dtype=object), "|") == rows


def test_lists_written_as_text_are_told():
    with pytest.raises(ValueError, match=r"ast\.literal_eval"):
        fit_target(pd.Series(["['a']", "['b']"], name="y"), task=MULTI)


def test_buckets_have_the_mean_of_their_rows():
    target = fit_target(pd.Series([0.0, 2, 10, 30], name="usd"), bins=[5, 100])
    assert target.task == ORDINAL and target.centers == (1, 20, 100)  # the last has no row: the middle of its borders
    frame = target.frame(np.array([[0.5, 0.5, 0.0]]), np.array([0]), pd.Index([7]))
    assert frame.columns.tolist()[:3] == ["label", "confidence", "expected"]
    assert frame.loc[7, "expected"] == pytest.approx(10.5) and frame.loc[7, "label"] == target.names[0]


def test_ordered_categories_keep_their_order():
    sizes = pd.Series(pd.Categorical(["l", "s", "m", "s"], categories=["s", "m", "l", "xl"], ordered=True))
    target = fit_target(sizes)
    assert target.task == ORDINAL and target.classes == ("s", "m", "l")
    assert target.encode(sizes).tolist() == [2, 0, 1, 0]
    with pytest.raises(ValueError, match=r"ordered pd\.Categorical"):
        fit_target(pd.Series(["s", "m"]), task=ORDINAL)


def test_numbers_are_standardised_and_money_on_a_logarithmic_scale():
    even = pd.Series(np.linspace(-5, 5, 50), name="x")
    target = fit_target(even, task=REGRESSION)
    assert not target.log and abs(target.encode(even).mean()) < 1e-6
    money = pd.Series(np.exp(np.random.default_rng(0).normal(5, 2, 500)), name="usd")
    target = fit_target(money)
    assert target.log and described(target) == "regression: 'usd' on a logarithmic scale"
    back = target.frame(target.encode(money)[:, None], target.encode(money), money.index)["value"]
    assert np.allclose(back, money, rtol=1e-3)


@pytest.mark.parametrize(
    ("values", "how"),
    [
        (["a", "b", "c"] * 3, {}),
        ([1.0, 2.0, 3.0, 9.0], {"bins": 2}),
        ([["a", "b"], [], ["b"]], {}),
        ([1.0, 4.0, 2.5], {"task": REGRESSION}),
    ],
)
def test_fastai_shows_what_stood_in_the_column(values, how):
    target = fit_target(pd.Series(values, name="y"), **how)
    codes = target.encode(pd.Series(values, name="y"))
    stored = target_tensor(target, codes)
    for i, code in enumerate(codes):
        x = target.shown(code)
        for transform in target_transforms(target):
            x = transform(x)
        assert torch.equal(torch.as_tensor(x), stored[i].as_subclass(torch.Tensor))
        for transform in reversed(target_transforms(target)):
            x = transform.decode(x)
        shown = target.shown(code)
        assert x == pytest.approx(shown) if target.task == REGRESSION else list(x) == list(shown)


def test_described():
    assert described(fit_target(pd.Series([1.0, 2, 3, 4]), bins=2)) == "ordinal: 2 buckets (under 2.5, 2.5 and over)"
    many = fit_target(pd.Series([f"c{i}" for i in range(9)] * 2))
    assert described(many) == "single label: 9 classes (c0, c1, c2, c3, c4, c5, … c8)"


def test_numbers_kept_as_text_are_read_with_a_warning():
    values = pd.Series(["1,200", "$35", "7.5", " 20 "], name="pledged")
    with pytest.warns(UserWarning, match="column 'pledged' holds numbers as text"):
        target = fit_target(values, bins=[30])
    with pytest.warns(UserWarning):
        assert target.encode(values).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("values", "how", "message"),
    [
        (["a", "b", "7"], {"bins": 2}, "2 of 3 cells of 'y' are no numbers, such as 'a'.*leave bins out"),
        ([1.0, 1.0, 2.0], {"bins": 4}, r"2 distinct values \[1.0, 2.0\] cannot fill bins=4"),
        ([1.0, 2.0, 3.0], {"bins": 1}, "bins=1 is too few"),
        ([1.0, 2.0, 3.0], {"bins": [5, 3]}, "ascending inner edges"),
        ([1.0, np.inf, 3.0], {"bins": 2}, r"1 of 3 cells of 'y' are not finite: rows \[1\]"),
        ([1.0, -np.inf, 3.0], {"task": REGRESSION}, "not finite"),
        ([2.0, 2.0], {"task": REGRESSION}, "one number only"),
        (["a", "b"], {"task": REGRESSION}, "are no numbers"),
        (["a", "a"], {}, "holds one class only"),
        (list("abcdef"), {}, "6 different values in 6 rows"),
        (list(range(150)), {}, "for a number bins=4 or task='regression'"),
        ([1.0, 2.0], {"task": "ordnal"}, "task='ordnal' is not one of"),
        ([1.0, 2.0], {"task": REGRESSION, "bins": 2}, "leave one of them out"),
        (["a", "a"], {"delim": ";"}, r"holds 1 labels, \['a'\]; is label_delim=';'"),
    ],
)
def test_bad_targets(values, how, message):
    with pytest.raises(ValueError, match=message):
        fit_target(pd.Series(values, name="y"), **how)
