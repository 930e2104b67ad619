"""Learning curves: all sizes are tested on the same rows, and smaller training subsets are within larger ones."""

import weakref

import numpy as np
import pytest

from kickbert.data.splits import TEST, TRAIN
from kickbert.experiments import by_size, cross_validate
from kickbert.experiments.learning_curves import LEFT_OUT, subsample


def short(learn):
    learn.freeze()
    learn.fit_one_cycle(4, 1e-2)


@pytest.fixture
def recipe(tiny) -> dict:
    return {"model": tiny, "max_length": 16, "fit": short}


def test_more_rows_increase_accuracy(reviews, recipe):
    table = by_size(reviews, [10, 80], **recipe, folds=4, repeats=2)
    assert table["rows"].tolist() == [10, 80, 10, 80] and table["repeat"].tolist() == [0, 0, 1, 1]
    means = table.groupby("rows")["accuracy"].mean()
    assert means[80] >= means[10]
    with pytest.raises(ValueError, match="must be between 2 and"):
        by_size(reviews, [10, 5000], **recipe, folds=3)


def test_smaller_subsets_are_contained_in_larger_ones():
    part = np.array([TRAIN] * 40 + [TEST] * 10, dtype=object)
    few, many = subsample(part, 5, seed=0), subsample(part, 20, seed=0)
    assert [(few == TRAIN).sum(), (many == TRAIN).sum()] == [5, 20]
    assert ((few == TRAIN) <= (many == TRAIN)).all()
    assert (few[40:] == TEST).all() and (few[:40] != TRAIN).sum() == (few == LEFT_OUT).sum()
    assert not (subsample(part, 5, seed=1) == few).all()


def test_a_learner_of_an_earlier_round_is_gone(reviews, recipe):
    models, alive = [], []

    def fit(learn):
        alive.append(sum(model() is not None for model in models))
        models.append(weakref.ref(learn.model))
        learn.fit_gradual(learn.phases("balanced")[:1])

    by_size(reviews, [10, 20, 40], repeats=1, **recipe | {"fit": fit})
    cross_validate(reviews, folds=2, **recipe | {"fit": fit})
    assert alive == [0] * 5
