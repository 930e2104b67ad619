"""A temperature that undoes overconfidence, is applied everywhere, and changes no answer."""

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
    found = calibrate(overconfident)
    assert (
        found.temperature > 1.5 and found.log_loss_after < found.log_loss_before and found.ece_after < found.ece_before
    )
    assert f"{found.temperature:.3f}: the model was overconfident" in repr(found) and "predict_df" in repr(found)
    after = overconfident.predict_df(reviews)
    assert after["label"].equals(before["label"]) and after["confidence"].mean() < before["confidence"].mean()
    logits = np.log(before.filter(like="prob_").to_numpy(dtype=float).clip(1e-12)) / found.temperature
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.allclose(after.filter(like="prob_"), probs, atol=1e-3)
    again = calibrate(overconfident)  # of raw outputs, so it comes out the same
    assert again.temperature == pytest.approx(found.temperature, rel=1e-3)
    overconfident.export(tmp_path / "learn.pkl")
    assert load_learner(tmp_path / "learn.pkl").predict_df(reviews)["confidence"].equals(after["confidence"])


def test_several_labels_and_their_thresholds(make, reviews):
    learn = make(reviews.assign(label=[["x", label] for label in reviews["label"]]))
    learn.fit_one_cycle(4, 4e-3)
    found = calibrate(learn)
    assert found.log_loss_after <= found.log_loss_before + 1e-9 and learn.loss_func.thresh.shape == (3,)


def test_what_has_no_temperature(make, reviews):
    learn = make(reviews.assign(label=np.linspace(0, 1, len(reviews))), task="regression")
    with pytest.raises(ValueError, match="the task is regression"):
        calibrate(learn)


def test_answers_only_where_it_is_sure(overconfident, reviews):
    sure = overconfident.predict_df(reviews)["confidence"].median()
    out = overconfident.predict_df(reviews, min_confidence=sure)
    silent = out["confidence"] < sure
    assert out["label"].isna().equals(silent) and 0.3 < silent.mean() < 0.7
