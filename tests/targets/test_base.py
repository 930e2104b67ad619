"""Behavior of all kinds of targets, and a new kind."""

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from kickbert.evaluation.baselines import majority
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import all_scores, main_score
from kickbert.experiments.comparison import row_losses
from kickbert.targets.base import PREDICTED, Target, from_dict
from kickbert.targets.binning import quantiles
from kickbert.targets.continuous import Continuous
from kickbert.targets.fitting import fit_target, read_target
from kickbert.targets.labels import Labels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.targets.options import TargetOptions
from kickbert.targets.outputs import prediction_frame, prediction_records


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


@dataclass(frozen=True)
class Count(Target):
    """A new kind of target: a count. The model predicts the logarithm of its rate."""

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
    def logits(cls, probs):
        return np.log(probs)

    @classmethod
    def decide(cls, probs, thresh=0.5):
        return probs.reshape(-1).round().astype(int)

    def encode(self, values):
        return values.to_numpy(dtype=int)

    def shown(self, code):
        return int(code)

    def frame(self, probs, codes, index):
        return pd.DataFrame({PREDICTED: codes, "rate": probs.reshape(-1)}, index=index)

    def records(self, probs, codes):
        return [{"count": int(code)} for code in codes]

    def constant(self, codes):
        return np.array([codes.mean()])

    def row_errors(self, y_true, y_pred):
        return (y_true != y_pred).astype(float)


def test_a_new_kind_of_target_needs_one_class():
    values = pd.Series([0, 3, 1, 2], name="visits")
    column = read_target(values, TargetOptions(task="count"))
    target, codes = column.fit()
    assert target == from_dict(json.loads(json.dumps(target.to_dict()))) == Count("visits")
    assert codes.tolist() == [0, 3, 1, 2] and len(column.strata) == 4 and target.describe() == "count: visits"
    probs = target.activate(np.log([[0.1], [2.9], [1.2], [3.1]]))
    y_pred = target.decide(probs)
    empty = np.array([False, False, False, True])
    frame = prediction_frame(target, probs, y_pred, values.index, np.zeros(4, dtype=bool))
    assert frame["predicted_label"].tolist() == [0, 3, 1, 3]
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


@pytest.mark.parametrize(
    ("target", "outputs"),
    [
        (Labels(("a", "b", "c")), [[1.0, -2.0, 3.0], [0.0, 0.0, 50.0]]),
        (MultiLabels(("a", "b")), [[1.0, -2.0], [9.0, 0.0]]),
        (Continuous("x", 0.0, 1.0), [[1.5], [-3.0]]),
    ],
)
def test_offsets_added_to_probabilities_are_offsets_added_to_outputs(target, outputs):
    outputs = np.array(outputs)
    offsets = np.array([[0.5], [-1.0]]) * np.arange(1, outputs.shape[1] + 1)
    temperature = 1.0 if target.is_number else 2.0
    shifted = target.shift(target.activate(outputs, temperature), offsets, temperature)
    assert shifted == pytest.approx(target.activate(outputs + offsets, temperature), abs=1e-6)
    assert target.shift(outputs[:0], offsets[:0]).shape == (0, outputs.shape[1])
