"""Callbacks: divergence is stopped, collapse is said, fits are recorded."""

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ShowGraphCallback

from kickbert import Phase, TrainingDiverged


class Poison(Callback):
    """Makes the loss NaN from a step on, as an overflow would, and spoils the weights with it."""

    order = -10

    def __init__(self, step):
        self.step = step

    def after_loss(self):
        if self.training and self.train_iter >= self.step:
            self.learn.loss_grad = self.loss_grad * float("nan")


def test_a_nan_loss_stops_and_the_last_good_weights_come_back(make, reviews):
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


def test_in_a_later_epoch_the_epoch_before_is_kept(make, reviews):
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


def test_a_model_that_predicts_a_constant_is_told_of(make, reviews):
    learn = make(reviews, valid=0.4)
    learn.validate()
    learn.collapse.predicted, learn.collapse.rows = torch.tensor([1]), 48
    assert learn.collapse.message(learn.target).startswith("the model predicts 'good' for all 48 validation rows")
    learn.collapse.rows = learn.collapse.LEAST - 1
    assert learn.collapse.message(learn.target) is None  # so few rows may well be alike
    learn.collapse.predicted, learn.collapse.rows = torch.tensor([0, 1]), 48
    assert learn.collapse.message(learn.target) is None


def test_the_history_holds_each_fit(make, reviews):
    learn = make(reviews)
    learn.fit_gradual([Phase("head", 3, 1, 1e-3), Phase("last layer", 2, 2, 1e-3, decay=0.5)])
    learn.lr_find(num_it=5, show_plot=False)
    learn.validate()
    first, second = learn.history.fits  # neither lr_find nor validation is a fit
    steps = len(learn.dls.train)
    assert [first.title, second.title] == ["1/2 head", "2/2 last layer"]
    assert [len(fit.losses) for fit in (first, second)] == [len(first.rates), len(second.rates)] == [steps, 2 * steps]
    assert second.groups == ["layer 2", "head"] and second.shares == [0.5, 1.0]
    assert second.names == ["train_loss", "valid_loss", "accuracy", "macro-F1"] and np.shape(second.values) == (2, 4)


def test_a_graph_is_not_drawn_where_nobody_watches(make, reviews):
    learn = make(reviews)
    learn.fit(2, 1e-3, cbs=ShowGraphCallback())
    with learn.no_bar():
        learn.fit(1, 1e-3)
    assert learn.progress.name == "progress" and len(learn.history.fits) == 2


class FreezeAt(Callback):
    """Freezes to another group in the middle of an epoch."""

    def __init__(self, group: int):
        self.group = group

    def before_batch(self):
        if self.training and self.train_iter == 3:
            self.learn.freeze_to(self.group)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (3, 0), (1, 3)])
def test_freezing_in_mid_epoch_counts_at_once(make, reviews, before, after):
    losses, moved = [], []
    for cache in (True, False):
        learn = make(reviews, cache=cache, dropout=0.0)
        start = [[p.clone() for p in group] for group in learn.model.groups().values()]
        learn.freeze_to(before)
        learn.fit(2, 1e-3, cbs=FreezeAt(after))
        losses.append(torch.stack(list(learn.recorder.losses)))
        pairs = zip(start, learn.model.groups().values(), strict=True)
        moved.append([any(not torch.equal(p, q) for p, q in zip(a, b, strict=True)) for a, b in pairs])
    torch.testing.assert_close(losses[0], losses[1], atol=1e-4, rtol=1e-3)
    assert moved[0] == moved[1] == [group >= min(before, after) for group in range(4)]
