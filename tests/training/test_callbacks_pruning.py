"""Easy rows are left out of an epoch: how many, at what weight, when not at all, and after a run was broken off."""

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

from kickbert import Phase
from kickbert.text import EDA
from kickbert.training import callbacks
from kickbert.training.callbacks import Pruning, reducible
from kickbert.training.losses import LOSSES, Distillation, Softmax, loss_for

HEAD, DEEPER = Phase("head", 3, 2, 1e-3), Phase("last layer", 2, 3, 1e-3, skip=0.5)


class Watch(Callback):
    """Keeps which rows each epoch reads, by phase."""

    run_valid = False

    def __init__(self):
        self.read = []

    def before_train(self):
        self.read.append([])

    def before_batch(self):
        self.read[-1] += list(self.learn.dls.train.batch_items)


def weights_of(learn) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in learn.model.parameters()])


def test_the_last_epoch_of_a_phase_reads_all_rows_and_those_before_fewer(make, reviews):
    learn, watch = make(reviews), Watch()
    ladder = learn.fit_gradual([HEAD, DEEPER], cbs=[watch])
    counts = [len(epoch) for epoch in watch.read]
    assert counts[:2] == [102, 102] and counts[4] == 102 and all(51 < count < 102 for count in counts[2:4])
    assert all(len(set(epoch)) == len(epoch) for epoch in watch.read)
    assert ladder["skipped"].tolist() == [0, 204 - sum(counts[2:4])] and ladder["rows"].tolist() == [102, 102]
    assert learn.recorder.lrs[-1] < 0.05 * max(learn.recorder.lrs)  # the one cycle ends all the same
    assert len(learn.dls.train) == 7 and len(learn.recorder.lrs) == sum(-(-count // 16) for count in counts[2:])


def test_rows_of_an_unknown_loss_are_read(make, reviews):
    learn, watch, numbers = make(reviews), Watch(), []

    class Drawn(Callback):
        def before_fit(self):
            numbers.append(self.learn.dls.train.numbers)

    head = Phase("head", 3, 1, 1e-3, rows=40)
    learn.fit_gradual([head, Phase("last layer", 2, 2, 1e-3, skip=0.9)], cbs=[watch, Drawn()])
    left_out = set(range(102)) - set(watch.read[1])
    assert 10 < len(left_out) <= 36 and left_out <= set(numbers[0].tolist())


def test_the_schedule_of_a_recipe_may_skip_and_auto_climbs_with_it(make, reviews):
    ladder = make(reviews, valid=0.3, schedule={"skip": 0.5}).fit_gradual("auto")
    assert ladder["skipped"][0] == 0 < ladder["skipped"][1] < 84 // 2


def test_looking_at_the_losses_changes_nothing(make, reviews):
    learners = [make(reviews) for _ in range(2)]
    for learn, skip in zip(learners, (0.0, 0.5), strict=True):  # of one epoch, which reads all
        ladder = learn.fit_gradual([Phase("head", 3, 1, 1e-3), Phase("last layer", 2, 1, 1e-3, skip=skip)])
        assert ("skipped" in ladder) == (skip > 0)
    assert torch.equal(*map(weights_of, learners)) and learners[0].recorder.losses == learners[1].recorder.losses


def test_the_loss_of_an_epoch_of_fewer_rows_is_on_average_that_of_all(make, reviews):
    losses = []

    class Record(Callback):
        run_valid = False

        def after_batch(self):
            losses.append((len(self.learn.dl.batch_items), self.loss.item()))

    reviews.loc[:11, "label"] = reviews["label"][:12].map({"good": "bad", "bad": "good"})  # some rows are hard
    learn = make(reviews, bs=128, dropout=0.0, cbs=[Record()])
    learn.fit(6, 1e-2)
    losses.clear()
    learn.fit_gradual([Phase("head", 3, 200, 1e-12, shape="constant", skip=0.7)])
    (first, *some, (rows, full)), mean = losses, np.mean([loss for _, loss in losses[1:-1]])
    assert first[0] == rows == 102 and {n for n, _ in some} == {some[0][0]} and some[0][0] < 70
    assert mean == pytest.approx(full, abs=4 * np.std([loss for _, loss in some]) / np.sqrt(len(some)))


def twice_and_double(learn, *batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of a batch with its first row twice, and what `Pruning` makes of one where that row weighs double."""
    rows, learn.dl, (learn.pred, *learn.yb) = len(batch[0]), learn.dls.train, batch
    pruning, weights = Pruning(rows), np.array([2.0, *[1.0] * (rows - 1)])
    pruning.learn, pruning.row_weights, learn.dl.batch_items = learn, weights / weights.mean(), list(range(rows))
    pruning.after_loss()
    return learn.loss_func(*(torch.cat([part, part[:1]]) for part in batch)), learn.loss


@pytest.mark.parametrize(("task", "name"), [(task, name) for task, losses in LOSSES.items() for name in losses])
def test_a_row_of_double_weight_counts_as_two_in_every_loss(make, reviews, task, name):
    learn, outputs = make(reviews), torch.randn(6, 3)
    several, numbers = task == "multi-label", task == "regression"
    codes = torch.randint(2, (6, 3)) if several else torch.randn(6) if numbers else torch.tensor([0, 1, 2, 0, 0, 1])
    for weight in (None,) if numbers else (None, torch.tensor([0.5, 3.0, 1.0])):
        learn.loss_func = loss_for(task, name, weight)
        twice, double = twice_and_double(learn, outputs[:, :1] if numbers else outputs, codes)
        torch.testing.assert_close(double, twice)


def test_a_loss_of_further_tensors_and_one_of_ones_own(make, reviews):
    learn, outputs, codes = make(reviews), torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    learn.loss_func = Softmax(Distillation, "single label")
    twice, double = twice_and_double(learn, outputs, codes, torch.rand(4, 3), torch.rand(4))
    torch.testing.assert_close(double, twice)
    learn.loss_func = loss_for(
        "single label", lambda x, y, reduction="mean": 2 * F.cross_entropy(x, y, reduction=reduction)
    )
    twice, double = twice_and_double(learn, outputs, codes)
    torch.testing.assert_close(double, twice)


def test_which_losses_can_be_had_of_each_row():
    assert reducible(F.cross_entropy) and reducible(torch.nn.MSELoss())
    assert not reducible(torch.nn.MSELoss(reduction="sum")) and not reducible(lambda x, y: (x - y).mean())


class Swap(Callback):
    """Has a loss of its own while it trains, as fastai's MixUp has."""

    def before_train(self):
        self.own, self.learn.loss_func = self.loss_func, self.loss

    def after_train(self):
        self.learn.loss_func = self.own

    def loss(self, logits, codes):
        return self.own(logits, codes)


class Half(Callback):
    """Trains on a half of each batch."""

    def before_batch(self):
        if self.training:
            self.learn.xb, self.learn.yb = (self.x[::2],), (self.y[::2],)


@pytest.mark.parametrize(
    ("options", "cb", "reason"),
    [
        ({"sampling": "balanced"}, None, "how often each is drawn, change from epoch"),
        ({"augment": EDA(variants=1, each_epoch=True)}, None, "the texts, or how often"),
        ({"loss": lambda x, y: F.cross_entropy(x, y)}, None, "it has no reduction='mean'"),
        ({}, Swap, "it has no reduction='mean'"),
        ({}, Half, "a callback changes which rows a batch has"),
    ],
)
def test_where_rows_cannot_be_left_out_a_line_says_why(make, reviews, capsys, options, cb, reason):
    learn, watch = make(reviews, **options), Watch()
    ladder = learn.fit_gradual([HEAD, DEEPER], cbs=[watch, *([cb()] if cb else [])])
    printed = capsys.readouterr().out
    assert printed.count("skip: all rows are read, for") == 1 and reason in printed
    assert ladder["skipped"].tolist() == [0, 0] and len({len(epoch) for epoch in watch.read}) == 1


def test_several_processes_read_all_rows(make, reviews, monkeypatch, capsys):
    monkeypatch.setattr(callbacks, "processes", lambda: 2)
    assert make(reviews).fit_gradual([HEAD, DEEPER])["skipped"].sum() == 0
    assert "skip: all rows are read, for several processes train" in capsys.readouterr().out


class Interrupt(Callback):
    armed = True

    def after_batch(self):
        if self.armed and self.training and self.learn.phase_title.startswith("3/3") and self.epoch == 0:
            self.armed = False
            raise KeyboardInterrupt


def test_an_interrupted_run_leaves_a_whole_dataloader_and_resumes_with_its_losses(make, reviews):
    phases, interrupt = [HEAD, DEEPER, Phase("all", 1, 2, 1e-4, skip=0.5)], Interrupt()
    whole = make(reviews)
    expected = whole.fit_gradual(phases).drop(columns="seconds")
    learn = make(reviews, path=whole.path / "other")
    with pytest.raises(KeyboardInterrupt):
        learn.fit_gradual(phases, cbs=[interrupt])
    assert len(learn.dls.train) == 7 and sorted(learn.dls.train.get_idxs()) == list(range(102))
    found = learn.fit_gradual(phases, resume=True, cbs=[interrupt]).drop(columns="seconds")
    assert found.equals(expected) and found["skipped"].iloc[-1] > 0
    assert torch.equal(weights_of(learn), weights_of(whole))
    with pytest.raises(ValueError, match="of a run with other phases"):
        make(reviews, path=whole.path / "other").fit_gradual([HEAD, DEEPER, Phase("all", 1, 2, 1e-4)], resume=True)
