"""What happens in a step is what fastai's Learner does, in its order."""

import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from torch import nn

from kickbert.training.callbacks import LeanLearner

EVENTS = ["before_fit", "before_train", "before_batch", "after_pred", "after_loss", "before_backward", "before_step"]
EVENTS += ["after_step", "after_batch", "after_train", "before_validate", "after_epoch", "after_fit"]


class Last(Callback):
    order = 1000

    def __init__(self, told):
        self.told = told


for name in EVENTS:
    setattr(Last, name, lambda self, name=name: self.told.append(f"last {name}"))


def told_by(cls: type) -> tuple[list[str], torch.Tensor]:
    torch.manual_seed(0)
    rows = [(torch.randn(3), torch.randn(1)) for _ in range(6)]
    dls = DataLoaders(DataLoader(rows, bs=2), DataLoader(rows, bs=2))
    told = []

    def by_function(self):
        told.append("by function")

    model = nn.Linear(3, 1)
    learn = cls(dls, model, nn.functional.mse_loss, cbs=[Last(told), Callback(after_batch=by_function)])
    resting = Callback()
    resting.run = False
    learn.add_cb(resting)
    with learn.no_logging():
        learn.fit(2, 0.1)
    assert resting.run  # after a fit every callback runs again
    return told, model.weight.detach()


def test_events_come_as_in_fastai_and_so_do_the_weights():
    (told, weight), (expected, theirs) = told_by(LeanLearner), told_by(Learner)
    assert told == expected
    assert told.count("by function") == 12
    assert {f"last {e}" for e in EVENTS} < set(told)
    assert torch.equal(weight, theirs)


def test_several_events_at_once():
    told = []
    learn = LeanLearner(DataLoaders([], []), nn.Linear(1, 1), nn.functional.mse_loss, cbs=[Last(told)])
    learn(["before_fit", "after_fit"])
    assert told == ["last before_fit", "last after_fit"]


def test_an_event_that_is_none_is_told_as_fastai_tells_it():
    learn = LeanLearner(DataLoaders([], []), nn.Linear(1, 1), nn.functional.mse_loss)
    with pytest.raises(Exception, match="missing after_bath"):
        learn("after_bath")
