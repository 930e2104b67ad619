"""Boosted trees on categories and numbers, also where classes or categories are missing."""

import numpy as np
import pytest

from kickbert.tabular.boosting import ABSENT
from kickbert.tabular.fitting import fit_booster

RNG = np.random.default_rng(0)
CATEGORIES = RNG.integers(0, 4, (300, 1))
NUMBERS = RNG.normal(size=(300, 1))


def test_a_category_that_decides_the_class_is_learned():
    targets = CATEGORIES[:, 0] % 3
    scores = fit_booster(CATEGORIES, NUMBERS, targets, 3).scores(CATEGORIES, NUMBERS)
    assert (scores.argmax(1) == targets).all()


def test_a_class_without_rows_lies_below_the_others():
    targets = np.where(NUMBERS[:, 0] > 0, 3, 1)
    scores = fit_booster(CATEGORIES, NUMBERS, targets, 5).scores(CATEGORIES, NUMBERS)
    assert scores.shape == (300, 5) and (scores.argmax(1) == targets).mean() > 0.95
    assert scores[:, [0, 2, 4]] == pytest.approx(np.repeat(scores[:, [1, 3]].min(1, keepdims=True) - ABSENT, 3, axis=1))


def test_a_single_class_and_a_number():
    constant = fit_booster(CATEGORIES, NUMBERS, np.ones(300, dtype=int), 2).scores(CATEGORIES, NUMBERS)
    assert (constant.argmax(1) == 1).all() and np.ptp(constant, axis=0).max() == 0
    values = NUMBERS[:, 0] * 3
    scores = fit_booster(CATEGORIES, NUMBERS, values, 1).scores(CATEGORIES, NUMBERS)
    assert np.corrcoef(scores[:, 0], values)[0, 1] > 0.95


def test_rows_without_columns_of_a_kind():
    targets = (NUMBERS[:, 0] > 0).astype(int)
    numbers_alone = fit_booster(CATEGORIES[:, :0], NUMBERS, targets, 2)
    assert numbers_alone.tables == ()
    assert (numbers_alone.scores(CATEGORIES[:, :0], NUMBERS).argmax(1) == targets).mean() > 0.95
    categories_alone = fit_booster(CATEGORIES, NUMBERS[:, :0], CATEGORIES[:, 0], 4)
    assert (categories_alone.scores(CATEGORIES, NUMBERS[:, :0]).argmax(1) == CATEGORIES[:, 0]).all()
