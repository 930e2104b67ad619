"""A fitted temperature reduces overconfidence, applies to all probabilities, and changes no predicted class."""

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.learner import load_learner

import kickbert
from kickbert import calibrate
from kickbert.evaluation.calibration import ENOUGH_ROWS
from kickbert.targets.thresholds import best_thresholds


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
    assert (
        after["predicted_label"].equals(before["predicted_label"])
        and after["confidence"].mean() < before["confidence"].mean()
    )
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
    assert out["predicted_label"].isna().equals(silent) and 0.3 < silent.mean() < 0.7


PHASES = [kickbert.Phase("all", 0, 4, 4e-3)]


@pytest.fixture
def many(reviews):
    """600 rows of which a quarter has a random label."""
    rng = np.random.default_rng(0)
    rows = pd.concat([reviews] * 5, ignore_index=True)
    noise = rng.random(len(rows)) < 0.25
    return rows.assign(label=np.where(noise, rng.choice(["good", "bad"], len(rows)), rows["label"]))


def test_fit_gradual_calibrates_and_keeps_the_labels(make, many, tmp_path, capsys):
    plain, learn = make(many, valid=0.4, path=tmp_path / "plain"), make(many, valid=0.4)
    plain.fit_gradual(PHASES, calibrate=False)
    assert plain.loss_func.temperature == 1 and "calibrat" not in capsys.readouterr().out
    learn.fit_gradual(PHASES)
    temperature = learn.loss_func.temperature
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(
        f"calibrated on 240 validation rows: temperature {temperature:.3f}, expected calibration error"
    )
    assert temperature != 1 and calibrate(plain).temperature == pytest.approx(temperature, rel=1e-3)
    plain.loss_func.temperature = 1.0
    assert learn.predict_df(many)["predicted_label"].equals(plain.predict_df(many)["predicted_label"])
    assert f"calibrated  temperature {temperature:.3f}" in repr(learn)

    saved = kickbert.load(learn.save_artifact(tmp_path / "k"), backend="torch")
    assert saved.metadata["temperature"] == temperature
    np.testing.assert_allclose(saved.predict_proba(many), learn.predict_proba(many), atol=1e-5)
    resumed = make(many, valid=0.4)
    resumed.fit_gradual(PHASES, resume=True)
    assert resumed.loss_func.temperature == pytest.approx(temperature, rel=1e-6)


def test_training_again_forgets_the_temperature_and_a_rate_search_does_not(make, many):
    learn = make(many, valid=0.4)
    learn.fit_gradual(PHASES)
    temperature = learn.loss_func.temperature
    learn.lr_find(show_plot=False, num_it=5)
    assert learn.loss_func.temperature == temperature != 1
    learn.fit_one_cycle(1, 1e-3)
    assert learn.loss_func.temperature == 1
    calibrate(learn)
    learn.fit_gradual(PHASES, calibrate=False)
    assert learn.loss_func.temperature == 1


def test_fit_few_calibrates_too(make, many, capsys):
    learn = make(many, valid=0.8, pooling="mean")
    learn.loss_func.temperature = 3.0
    learn.fit_few(kickbert.training.FewShot(layers=1, steps=5), calibrate=False)
    assert learn.loss_func.temperature == 1
    learn.fit_few(kickbert.training.FewShot(layers=1, steps=5))
    assert learn.loss_func.temperature != 1 and "calibrated on 480 validation rows" in capsys.readouterr().out


@pytest.mark.parametrize("case", ["few rows", "ordered", "perfect"])
def test_otherwise_the_error_and_the_way_to_calibrate_are_printed(make, many, reviews, case, capsys):
    amount = np.where(many["label"] == "good", 1.0, 9.0) + np.arange(len(many)) % 7
    perfect = pd.concat([reviews.assign(split="train")] * 3 + [reviews.assign(split="valid")] * 2, ignore_index=True)
    cases = {
        "few rows": (many.head(ENOUGH_ROWS - 1).assign(split="valid"), {}, "199 validation rows, fewer than 200"),
        "ordered": (many.assign(label=amount), {"bins": 3}, "the label of ordered classes is their median"),
        "perfect": (perfect, {}, "0 mistakes on 240 validation rows, too few"),
    }
    rows, options, reason = cases[case]
    if case == "few rows":
        rows = pd.concat([rows, many.tail(-len(rows)).assign(split="train")])
    learn = make(rows, valid="split" if "split" in rows else 0.4, **options)
    learn.fit_gradual(PHASES)
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(f"not calibrated ({reason}") and learn.loss_func.temperature == 1
    error = kickbert.evaluate(learn, compare=False, rounds=2)["expected calibration error"]
    assert f"expected calibration error {error:.3f}. To calibrate: kickbert.calibrate(learn), or kickbert train" in line


def test_a_number_has_no_calibration_error(make, many, capsys):
    learn = make(many.assign(label=np.linspace(0, 1, len(many))), task="regression", valid=0.4)
    learn.fit_gradual(PHASES)
    assert "calibrat" not in capsys.readouterr().out


def test_thresholds_fit_the_calibrated_probabilities(make, many):
    learn = make(many.assign(label=[["x", label] for label in many["label"]]), valid=0.4)
    learn.fit_gradual(PHASES)
    probs, y_true = learn.get_preds(ds_idx=1)
    assert learn.loss_func.temperature != 1
    np.testing.assert_allclose(learn.loss_func.thresh, best_thresholds(probs.numpy(), y_true.numpy()))
