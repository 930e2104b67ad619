"""Events are the same as in fastai, and half precision is that of the model."""

import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import MixedPrecision
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from torch import nn

from kickbert.training.event_loop import LeanLearner

EVENTS = ["before_fit", "before_train", "before_batch", "after_pred", "after_loss", "before_backward", "before_step"]
EVENTS += ["after_step", "after_batch", "after_train", "before_validate", "after_epoch", "after_fit"]


class Last(Callback):
    order = 1000

    def __init__(self, events):
        self.events = events


for name in EVENTS:
    setattr(Last, name, lambda self, name=name: self.events.append(f"last {name}"))


def events_of(cls: type) -> tuple[list[str], torch.Tensor]:
    torch.manual_seed(0)
    rows = [(torch.randn(3), torch.randn(1)) for _ in range(6)]
    dls = DataLoaders(DataLoader(rows, bs=2), DataLoader(rows, bs=2))
    events = []

    def by_function(self):
        events.append("by function")

    model = nn.Linear(3, 1)
    learn = cls(dls, model, nn.functional.mse_loss, cbs=[Last(events), Callback(after_batch=by_function)])
    resting = Callback()
    resting.run = False
    learn.add_cb(resting)
    with learn.no_logging():
        learn.fit(2, 0.1)
    assert resting.run  # after a fit every callback runs again
    return events, model.weight.detach()


def test_events_come_as_in_fastai_and_so_do_the_weights():
    (events, weight), (expected, theirs) = events_of(LeanLearner), events_of(Learner)
    assert events == expected
    assert events.count("by function") == 12
    assert {f"last {e}" for e in EVENTS} < set(events)
    assert torch.equal(weight, theirs)


def test_several_events_at_once():
    events = []
    learn = LeanLearner(DataLoaders([], []), nn.Linear(1, 1), nn.functional.mse_loss, cbs=[Last(events)])
    learn(["before_fit", "after_fit"])
    assert events == ["last before_fit", "last after_fit"]


def test_an_unknown_event_raises_fastais_error():
    learn = LeanLearner(DataLoaders([], []), nn.Linear(1, 1), nn.functional.mse_loss)
    with pytest.raises(Exception, match="missing after_bath"):
        learn("after_bath")


def test_fastais_half_precision_is_the_models_own(make, reviews, capsys):
    learn = make(reviews)
    assert learn.to_bf16() is learn and learn.model.precision == "bf16"
    learn.fit(1, 1e-3)
    assert learn.to_fp32() is learn and learn.model.precision == "fp32"
    learn.fit(1, 1e-3, cbs=MixedPrecision(amp_mode="bf16"))
    assert learn.model.precision == "bf16" and "fp16" not in capsys.readouterr().out
    learn.to_fp16()
    assert f"fp16 is not supported; using {learn.model.precision}" in capsys.readouterr().out


class FreezeAt(Callback):
    """Freeze to another group in the middle of an epoch."""

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
