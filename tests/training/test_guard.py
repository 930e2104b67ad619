"""Diverging training stops with the last good weights."""

import pytest
import torch
from fastai.callback.core import Callback

from kickbert import TrainingDiverged


class Poison(Callback):
    """Make the loss NaN from a step on, as an overflow would."""

    order = -10

    def __init__(self, step):
        self.step = step

    def after_loss(self):
        if self.training and self.train_iter >= self.step:
            self.learn.loss_grad = self.loss_grad * float("nan")


def test_a_nan_loss_stops_and_the_last_good_weights_are_restored(make, reviews):
    learn = make(reviews)
    learn.fit(1)
    good = {k: v.clone() for k, v in learn.model.state_dict().items()}
    steps = len(learn.dls.train)
    with pytest.raises(TrainingDiverged, match=r"became nan at step 3, with a learning rate of 0.0001.*smaller rate"):
        learn.fit(1, cbs=Poison(2))
    assert all(torch.equal(v, good[k]) for k, v in learn.model.state_dict().items())
    learn.fit(1)  # and the learner can be used further
    assert learn.train_iter == steps
    assert not all(torch.equal(v, good[k]) for k, v in learn.model.state_dict().items())


def test_in_a_later_epoch_the_previous_epoch_is_restored(make, reviews):
    learn = make(reviews)
    kept = {}

    class Remember(Callback):
        def after_epoch(self):
            kept.update({k: v.clone() for k, v in self.model.state_dict().items()})

    with pytest.raises(TrainingDiverged):
        learn.fit(3, cbs=[Remember(), Poison(len(learn.dls.train) + 1)])
    assert all(torch.equal(v, kept[k]) for k, v in learn.model.state_dict().items())
    assert all(p.isfinite().all() for p in learn.model.parameters())


def test_gradual_training_stops_at_its_phase(make, reviews):
    learn = make(reviews)
    with pytest.raises(TrainingDiverged):
        learn.fit_gradual(cbs=[Poison(1)])
    assert learn.phase_title == ""


def test_lr_find_may_diverge(make, reviews):
    learn = make(reviews)
    learn.lr_find(end_lr=1e6, num_it=20, show_plot=False)
    assert all(p.isfinite().all() for p in learn.model.parameters())
