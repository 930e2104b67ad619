"""Metrics are of decisions, and of numbers in their own unit."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from kickbert.targets.fitting import fit_target
from kickbert.training.losses import loss_for
from kickbert.training.metrics import metrics_for


def values_of(target, outputs: torch.Tensor, codes: np.ndarray) -> dict[str, float]:
    """The metrics of two batches, by name."""
    metrics, loss = metrics_for(target), loss_for(target.task)
    for metric in metrics:
        metric.reset()
        for part in (slice(0, 2), slice(2, None)):
            batch = {"pred": outputs[part], "y": torch.from_numpy(codes)[part]}
            learn = SimpleNamespace(loss_func=loss, to_detach=lambda value: value, **batch)
            metric.accumulate(learn)
    return {metric.name: metric.value for metric in metrics}


def test_classes_ranks_and_labels():
    codes = np.array([0, 1, 1, 0])
    outputs = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 0.0]])
    classes = values_of(fit_target(pd.Series(["a", "b"] * 2)), outputs, codes)
    assert classes == {"accuracy": 0.75, "f1_score": pytest.approx((0.8 + 2 / 3) / 2)}
    ranks = values_of(fit_target(pd.Series([1.0, 2.0, 3.0, 4.0]), bins=2), outputs, codes)
    assert ranks["cohen_kappa_score"] == pytest.approx(0.5)
    labels = values_of(fit_target(pd.Series([["a"], ["b"]])), outputs - 1, np.eye(2, dtype=np.float32)[codes])
    assert labels == {"f1_micro": 0.75, "f1_macro": pytest.approx((0.8 + 2 / 3) / 2)}


def test_numbers_are_judged_in_their_own_unit():
    numbers = pd.Series([10.0, 20.0, 30.0, 40.0], name="usd")
    target = fit_target(numbers, task="regression")
    outputs = torch.from_numpy(target.standardize(numbers.to_numpy() + 2)).reshape(-1, 1)
    values = values_of(target, outputs, target.encode(numbers))
    assert values["mae"] == pytest.approx(2, abs=1e-4) and values["r2"] == pytest.approx(1 - 4 / 125, abs=1e-4)
