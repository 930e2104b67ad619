"""When to stop: agreement of models, and a known learning curve."""

import numpy as np
import pytest
from helpers.topics import WORDS, embed, topics
from sklearn.preprocessing import normalize

from kickbert.evaluation.significance import wilson_interval
from kickbert.labeling.classifier import EmbeddingClassifier, label_codes
from kickbert.labeling.stopping import (
    agreement,
    correct_by_size,
    forecast,
    power_law,
    stabilized,
)

SIZES = np.array([20, 40, 80, 160])


def test_agreement_is_cohens_kappa():
    assert agreement(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])) == pytest.approx(0.5)
    assert agreement(np.array([1, 1]), np.array([1, 1])) == 1
    assert agreement(np.eye(3, dtype=int), np.eye(3, dtype=int)) == 1


def test_stable_is_three_refits_that_agree():
    rng = np.random.default_rng(0)
    same, other = rng.integers(4, size=500), rng.integers(4, size=500)
    assert stabilized([other, same, same, same]) and not stabilized([same, same])
    assert not stabilized([same, same, other])


def test_a_power_law_is_recovered():
    sizes = np.array([20, 40, 80, 160, 320])
    curves = np.stack([0.9 - 2.0 * sizes**-0.5, 0.8 - 0 * sizes, 1 - 1.5 * sizes**-1.0])
    top, factor, exponent = power_law(sizes, curves)
    fitted = top[:, None] - factor[:, None] * sizes ** -exponent[:, None]
    assert np.abs(fitted - curves).max() < 0.005
    assert top[0] == pytest.approx(0.9, abs=0.03) and factor[1] == pytest.approx(0, abs=1e-9) and (top <= 1).all()


def test_a_forecast_has_its_coverage():
    """The interval usually contains the accuracy that the curve reaches."""
    hits = 0
    for seed in range(20):
        hard = np.random.default_rng(seed).random(200)  # a row is right once the curve passes it
        correct = np.stack([hard < 0.9 - 2.0 * size**-0.5 for size in SIZES])
        expected = forecast(SIZES, correct, seed=seed)
        assert expected.low <= expected.accuracy <= expected.high and expected.gain > 0 and expected.enough > 160
        hits += expected.low <= 0.9 - 2.0 * 210**-0.5 <= expected.high
    assert hits >= 16


@pytest.mark.parametrize("right", [80, 100])
def test_a_flat_curve_has_no_gain_and_is_no_more_certain_than_now(right):
    correct = np.tile(np.arange(100) < right, (4, 1))
    expected = forecast(SIZES, correct)
    assert expected.gain == pytest.approx(0, abs=1e-6) and expected.enough == 160
    low, high = wilson_interval(right, 100)
    assert expected.accuracy == pytest.approx(right / 100)
    assert expected.low <= low + 1e-9 and expected.high >= high - 1e-9


@pytest.mark.parametrize("right", range(25, 31))
def test_a_forecast_is_never_more_certain_than_what_is_known_now(right):
    now = np.arange(30) < right
    expected = forecast(SIZES, np.stack([np.arange(30) < right * share // 4 for share in (1, 2, 3)] + [now]))
    low, high = wilson_interval(right, 30)
    assert 0 <= expected.low <= expected.accuracy <= expected.high <= 1
    assert expected.high - expected.low >= high - low - 1e-9


def test_more_labels_are_judged_on_the_same_rows():
    df = topics(160, seed=3)
    x, y = normalize(embed(df["text"].tolist())), label_codes(df["label"].tolist(), list(WORDS), "single label")
    sizes, correct = correct_by_size(EmbeddingClassifier("single label", 4), x, y, np.arange(0, 160, 3))
    assert sizes[-1] == 160 and (np.diff(sizes) > 0).all() and correct.shape == (len(sizes), 54)
    assert correct[-1].mean() > correct[0].mean() + 0.1
