"""A fitted temperature reduces overconfidence, applies to all probabilities, and changes no predicted class."""

import numpy as np
import pytest
import torch
from fastai.learner import load_learner

from kickbert import calibrate


@pytest.fixture
def overconfident(make, reviews):
    rng = np.random.default_rng(0)
    noisy = reviews.assign(label=np.where(rng.random(len(reviews)) < 0.25, "good", reviews["label"]))
    learn = make(noisy, valid=0.4)
    learn.fit_one_cycle(6, 4e-3)
    with torch.no_grad():
        learn.model.head.classifier.weight.mul_(6)
        learn.model.head.classifier.bias.mul_(6)
    return learn


def test_it_is_fitted_applied_and_kept(overconfident, reviews, tmp_path):
    before = overconfident.predict_df(reviews)
    fit = calibrate(overconfident)
    assert fit.temperature > 1.5 and fit.log_loss_after < fit.log_loss_before and fit.ece_after < fit.ece_before
    assert f"{fit.temperature:.3f}: the model was overconfident" in repr(fit) and "predict_df" in repr(fit)
    after = overconfident.predict_df(reviews)
    assert after["label"].equals(before["label"]) and after["confidence"].mean() < before["confidence"].mean()
    logits = np.log(before.filter(like="prob_").to_numpy(dtype=float).clip(1e-12)) / fit.temperature
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.allclose(after.filter(like="prob_"), probs, atol=1e-3)
    again = calibrate(overconfident)  # of raw outputs, so it comes out the same
    assert again.temperature == pytest.approx(fit.temperature, rel=1e-3)
    overconfident.export(tmp_path / "learn.pkl")
    assert load_learner(tmp_path / "learn.pkl").predict_df(reviews)["confidence"].equals(after["confidence"])


def test_several_labels_and_their_thresholds(make, reviews):
    learn = make(reviews.assign(label=[["x", label] for label in reviews["label"]]))
    learn.fit_one_cycle(4, 4e-3)
    fit = calibrate(learn)
    assert fit.log_loss_after <= fit.log_loss_before + 1e-9 and learn.loss_func.thresh.shape == (3,)


def test_tasks_without_a_temperature(make, reviews):
    learn = make(reviews.assign(label=np.linspace(0, 1, len(reviews))), task="regression")
    with pytest.raises(ValueError, match="the task is regression"):
        calibrate(learn)


def test_answers_only_where_it_is_sure(overconfident, reviews):
    sure = overconfident.predict_df(reviews)["confidence"].median()
    out = overconfident.predict_df(reviews, min_confidence=sure)
    silent = out["confidence"] < sure
    assert out["label"].isna().equals(silent) and 0.3 < silent.mean() < 0.7
