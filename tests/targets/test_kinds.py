"""Every kind of target: shown by fastai, described in one line, scored by row."""

import numpy as np
import pandas as pd
import pytest
import torch

from kickbert.data.transforms import target_tensor, target_transforms
from kickbert.targets.continuous import Continuous
from kickbert.targets.fitting import fit_target
from kickbert.targets.labels import Labels, OrderedLabels
from kickbert.targets.multi_labels import MultiLabels


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
