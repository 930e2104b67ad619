"""When labels are enough: agreement of models, and a learning curve that is known to begin with."""

import numpy as np
import pytest
from helpers.topics import WORDS, embed, topics
from sklearn.preprocessing import normalize

from kickbert.labeling.classifier import EmbeddingClassifier, label_codes
from kickbert.labeling.stopping import agreement, correct_by_size, forecast, power_law, stabilised


def test_agreement_is_cohens_kappa():
    assert agreement(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])) == pytest.approx(0.5)
    assert agreement(np.array([1, 1]), np.array([1, 1])) == 1
    assert agreement(np.eye(3, dtype=int), np.eye(3, dtype=int)) == 1


def test_stable_is_three_refits_that_agree():
    rng = np.random.default_rng(0)
    same, other = rng.integers(4, size=500), rng.integers(4, size=500)
    assert stabilised([other, same, same, same]) and not stabilised([same, same])
    assert not stabilised([same, same, other])


def test_a_power_law_is_found_again():
    sizes = np.array([20, 40, 80, 160, 320])
    curves = np.stack([0.9 - 2.0 * sizes**-0.5, 0.8 - 0 * sizes, 1 - 1.5 * sizes**-1.0])
    top, factor, exponent = power_law(sizes, curves)
    fitted = top[:, None] - factor[:, None] * sizes ** -exponent[:, None]
    assert np.abs(fitted - curves).max() < 0.005
    assert top[0] == pytest.approx(0.9, abs=0.03) and factor[1] == pytest.approx(0, abs=1e-9) and (top <= 1).all()


def test_a_forecast_holds_what_it_foretells():
    """The interval has the accuracy that the curve really reaches, most of the time."""
    sizes, hits = np.array([20, 40, 80, 160]), 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        hard = rng.random(200)  # a row is right from the size on at which the curve passes it
        correct = np.stack([hard < 0.9 - 2.0 * size**-0.5 for size in sizes])
        found = forecast(sizes, correct, seed=seed)
        assert found.low <= found.accuracy <= found.high and found.gain > 0 and found.enough > 160
        hits += found.low <= 0.9 - 2.0 * 210**-0.5 <= found.high
    assert hits >= 16


def test_a_flat_curve_promises_nothing():
    correct = np.tile(np.arange(100) < 80, (4, 1))
    found = forecast(np.array([20, 40, 80, 160]), correct)
    assert found.gain == pytest.approx(0, abs=1e-6) and found.enough == 160 and found.accuracy == pytest.approx(0.8)


def test_more_labels_are_judged_on_the_same_rows():
    df = topics(160, seed=3)
    x, y = normalize(embed(df["text"].tolist())), label_codes(df["label"].tolist(), list(WORDS), "single label")
    sizes, correct = correct_by_size(EmbeddingClassifier("single label", 4), x, y, np.arange(0, 160, 3))
    assert sizes[-1] == 160 and (np.diff(sizes) > 0).all() and correct.shape == (len(sizes), 54)
    assert correct[-1].mean() > correct[0].mean() + 0.1
