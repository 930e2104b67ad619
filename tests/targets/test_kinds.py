"""What is predicted: read from columns of every kind, guessed, encoded, and framed as predictions."""

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from kickbert.data.transforms import target_tensor, target_transforms
from kickbert.evaluation.baselines import majority
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import all_scores, main_score
from kickbert.experiments.comparison import row_losses
from kickbert.targets.base import Target, from_dict
from kickbert.targets.binning import quantiles
from kickbert.targets.continuous import Continuous
from kickbert.targets.fitting import fit_target, read_target
from kickbert.targets.labels import Labels, OrderedLabels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.targets.options import TargetOptions
from kickbert.targets.outputs import prediction_frame, prediction_records


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


@pytest.mark.parametrize(
    ("target", "y_pred", "y_true", "scores"),
    [
        (Labels(tuple("abc")), [0, 2, 1], [0, 1, 1], [1, 0, 1]),
        (OrderedLabels(tuple("abcd")), [0, 2, 1], [0, 1, 3], [1, 2 / 3, 1 / 3]),
        (MultiLabels(tuple("abc")), [[1, 1, 0], [0, 0, 0]], [[1, 0, 0], [0, 0, 1]], [2 / 3, 0]),
        (Continuous("x", 0, 1), [[0.0], [2.0]], [0.5, 0.0], [0.75, -3.0]),
    ],
)
def test_scores_of_rows(target, y_pred, y_true, scores):
    assert target.row_scores(np.array(y_true), np.array(y_pred)) == pytest.approx(scores)


@dataclass(frozen=True)
class Count(Target):
    """A fifth kind of target: how often something happened. The model learns the logarithm of its rate."""

    name: str

    task: ClassVar[str] = "count"
    shown_scores: ClassVar[tuple[str, ...]] = ("share of exact counts",)

    @property
    def names(self):
        return [self.name]

    @classmethod
    def fit(cls, values, options):
        return cls(str(values.name))

    @classmethod
    def strata(cls, values):
        return quantiles(values.to_numpy())

    @classmethod
    def activate(cls, outputs, temperature=1.0):
        return np.exp(outputs)

    @classmethod
    def decide(cls, probs, thresh=0.5):
        return probs.reshape(-1).round().astype(int)

    def encode(self, values):
        return values.to_numpy(dtype=int)

    def shown(self, code):
        return int(code)

    def frame(self, probs, codes, index):
        return pd.DataFrame({"count": codes, "rate": probs.reshape(-1)}, index=index)

    def records(self, probs, codes):
        return [{"count": int(code)} for code in codes]

    def constant(self, codes):
        return np.array([codes.mean()])

    def row_errors(self, y_true, y_pred):
        return (y_true != y_pred).astype(float)


def test_a_fifth_kind_of_target_is_one_class():
    values = pd.Series([0, 3, 1, 2], name="visits")
    column = read_target(values, TargetOptions(task="count"))
    target, codes = column.fit()
    assert target == from_dict(json.loads(json.dumps(target.to_dict()))) == Count("visits")
    assert codes.tolist() == [0, 3, 1, 2] and len(column.strata) == 4 and target.describe() == "count: visits"
    probs = target.activate(np.log([[0.1], [2.9], [1.2], [3.1]]))
    y_pred = target.decide(probs)
    empty = np.array([False, False, False, True])
    frame = prediction_frame(target, probs, y_pred, values.index, np.zeros(4, dtype=bool))
    assert frame["count"].tolist() == [0, 3, 1, 3]
    assert prediction_records(target, probs, y_pred, empty) == [
        {"count": 0},
        {"count": 3},
        {"count": 1},
        {"count": None},
    ]
    predictions = Predictions(target, probs, y_pred, codes)
    assert main_score(predictions) == 0.75
    assert all_scores(predictions)(np.ones(4)) == {"share of exact counts": 0.75}
    assert row_losses(predictions).tolist() == [0, 0, 0, 1]
    assert majority(target, codes, 2).tolist() == [[1.5], [1.5]]
