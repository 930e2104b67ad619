"""Metrics use decoded predictions: the median of ordered classes, thresholds of labels, the unit of a number."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, r2_score

from kickbert.targets.fitting import fit_target
from kickbert.training.losses import loss_for
from kickbert.training.metrics import metrics_for


def values(target, logits: torch.Tensor, codes: torch.Tensor, loss) -> dict[str, float]:
    """Compute each metric on two batches."""
    scores = {}
    for metric in metrics_for(target):
        metric.reset()
        for part in (slice(0, 4), slice(4, None)):
            learn = SimpleNamespace(loss_func=loss, pred=logits[part], y=codes[part], to_detach=lambda x: x)
            metric.accumulate(learn)
        scores[metric.name] = metric.value
    return scores


def test_classes():
    logits, codes = torch.randn(9, 3, generator=torch.manual_seed(0)), torch.tensor([0, 1, 2] * 3)
    target, y_pred = fit_target(pd.Series(["a", "b", "c"] * 3)), logits.argmax(1)
    expected = {"accuracy": accuracy_score(codes, y_pred), "macro-F1": f1_score(codes, y_pred, average="macro")}
    assert values(target, logits, codes, loss_for(target)) == pytest.approx(expected)


def test_ordered_classes_are_decided_by_the_median():
    target, codes = fit_target(pd.Series(np.arange(9.0)), bins=3), torch.tensor([0, 1, 2] * 3)
    probs = torch.tensor([[0.4, 0.25, 0.35]]).repeat(9, 1)  # the median is the second, the argmax the first
    scores = values(target, probs.log(), codes, loss_for(target))
    assert scores["accuracy"] == pytest.approx(accuracy_score(codes, np.ones(9)))
    assert scores["quadratic kappa"] == pytest.approx(cohen_kappa_score(codes, np.ones(9), weights="quadratic"))


def test_labels_are_decided_by_their_thresholds():
    target = fit_target(pd.Series([["a", "b"], ["b"], []] * 3))
    probs = torch.rand(9, 2, generator=torch.manual_seed(0))
    codes = torch.randint(2, (9, 2), generator=torch.manual_seed(1)).float()
    loss = loss_for(target)
    loss.thresh = np.array([0.2, 0.8])
    y_pred = probs.numpy() >= loss.thresh
    expected = {f"{kind}-F1": f1_score(codes, y_pred, average=kind, zero_division=0) for kind in ("micro", "macro")}
    assert values(target, probs.logit(), codes, loss) == pytest.approx(expected)


def test_numbers_are_scored_in_their_own_unit():
    numbers = pd.Series(np.exp(np.linspace(0, 9, 9)), name="raised")
    target = fit_target(numbers, task="regression")
    assert target.log
    codes = torch.from_numpy(target.encode(numbers))
    outputs = codes[:, None].float() + 0.1
    predicted = target.inverse_transform(outputs.numpy().reshape(-1).astype(float))
    scores = values(target, outputs, codes, loss_for(target))
    assert scores["mean absolute error"] == pytest.approx(np.abs(predicted - numbers).mean(), rel=1e-4)
    assert scores["R2"] == pytest.approx(r2_score(numbers, predicted), rel=1e-4)
