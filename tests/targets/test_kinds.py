"""What is predicted: read from columns of every kind, guessed, encoded, and framed as predictions."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from kickbert.data.transforms import target_tensor, target_transforms
from kickbert.targets.base import from_dict
from kickbert.targets.fitting import fit_target


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
    assert target.classes == classes and target.task == "single label"
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


def test_numbers_are_standardised_and_money_on_a_logarithmic_scale():
    even = pd.Series(np.linspace(-5, 5, 50), name="x")
    target = fit_target(even, task="regression")
    assert not target.log and abs(target.encode(even).mean()) < 1e-6
    money = pd.Series(np.exp(np.random.default_rng(0).normal(5, 2, 500)), name="usd")
    target = fit_target(money)
    assert target.log and target.describe() == "regression: 'usd' on a logarithmic scale"
    back = target.frame(target.encode(money)[:, None], target.encode(money), money.index)["value"]
    assert np.allclose(back, money, rtol=1e-3)


@pytest.mark.parametrize(
    ("values", "how"),
    [
        (["a", "b", "c"] * 3, {}),
        ([1.0, 2.0, 3.0, 9.0], {"bins": 2}),
        ([["a", "b"], [], ["b"]], {}),
        ([1.0, 4.0, 2.5], {"task": "regression"}),
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
        assert x == pytest.approx(shown) if target.is_number else list(x) == list(shown)


def test_a_target_in_one_line():
    buckets = fit_target(pd.Series([1.0, 2, 3, 4]), bins=2)
    assert buckets.describe() == "ordinal: 2 buckets (under 2.5, 2.5 and over); the label is their median"
    many = fit_target(pd.Series([f"c{i}" for i in range(9)] * 2))
    assert many.describe() == "single label: 9 classes (c0, c1, c2, c3, c4, c5, … c8)"


@pytest.mark.parametrize(
    ("values", "how"),
    [
        (["a", "b", "c"] * 3, {}),
        ([1.0, 2.0, 3.0, 9.0], {"bins": 2}),
        ([["a", "b"], [], ["b"]], {}),
        ([[1, 0], [0, 1]], {"labels": ["a", "b"]}),
        ([1.0, 4.0, 2.5], {"task": "regression"}),
    ],
)
def test_a_target_is_the_same_after_json(values, how):
    target = fit_target(pd.Series(values, name="y"), **how)
    assert from_dict(json.loads(json.dumps(target.to_dict()))) == target
