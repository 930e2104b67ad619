"""fit_gradual("auto") adds, stops or undoes phases according to the validation rows, within its budget."""

import pytest
import torch
from fastai.callback.core import Callback

from kickbert import TrainingDiverged
from kickbert.training import adaptive
from kickbert.training.adaptive import Adaptive, goes_on

GAIN, CHANCE, HARM = {"low": 1.0, "kept": True}, {"low": -1.0, "kept": True}, {"low": -3.0, "kept": False}


class InPhase(Callback):
    """Call a function at each training step of a phase."""

    order = -10

    def __init__(self, number: int, action):
        self.number = number
        self.action = action

    def after_loss(self):
        if self.training and self.learn.phase_title.startswith(f"{self.number} "):
            self.action(self.learn)


@pytest.mark.parametrize(
    ("ladder", "planned", "expected"),
    [
        ([], 2, True),
        ([CHANCE], 2, True),  # the head has nothing to compare with
        ([CHANCE, GAIN], 2, True),
        ([CHANCE, CHANCE], 2, False),
        ([CHANCE, CHANCE], 3, True),
        ([CHANCE, HARM], 3, True),  # a side network may not help where layers do
        ([CHANCE, CHANCE, HARM], 3, False),
        ([CHANCE, GAIN, CHANCE], 2, False),
    ],
)
def test_when_another_phase_follows(ladder, planned, expected):
    assert goes_on(ladder, planned) == expected


def test_it_ends_with_the_best_phase(make, reviews, capsys):
    learn = make(reviews, valid=0.3)
    ladder = learn.fit_gradual("auto")
    assert ladder["phase"].tolist()[:3] == ["head", "side network", "last 2 layers"]
    assert ladder["gain"][0] == 0 and ladder["kept"][0]
    kept = ladder[ladder["kept"]]
    assert learn.validate()[1] == pytest.approx(kept["accuracy"].iloc[-1])
    out = capsys.readouterr().out
    assert "head: about" in out and "last 2 layers: about" in out
    assert f"last 2 layers: {ladder['gain'][2]:+.1f} points (95% interval " in out


def test_a_harmful_phase_is_undone(make, reviews, capsys):
    learn = make(reviews, valid=0.3)
    learn.add_cb(InPhase(3, lambda learn: learn.model.head.classifier.weight.data.zero_()))
    ladder = learn.fit_gradual("auto")
    assert ladder["accuracy"][0] > 0.8  # so that there is something to lose
    assert ladder["kept"].tolist()[2:] == [False] and ladder["gain"][2] < 0 and ": undone" in capsys.readouterr().out
    kept = ladder[ladder["kept"]]["accuracy"].iloc[-1]
    assert learn.validate()[1] == pytest.approx(kept) == learn.metadata["metrics"]["accuracy"]


def test_undoing_the_layers_restores_the_side_network(make, reviews):
    learn, sides = make(reviews, valid=0.3), []
    learn.add_cb(InPhase(2, lambda learn: sides.append(learn.model.head.side)))
    learn.add_cb(InPhase(3, lambda learn: learn.model.head.classifier.weight.data.zero_()))
    ladder = learn.fit_gradual("auto")
    if ladder["kept"][1]:
        assert learn.model.head.side is sides[0]
        learn.freeze_to(-1)
        optimized = {id(p) for group in learn.opt.opt.param_groups for p in group["params"]}
        assert {id(p) for p in learn.model.head.side.parameters()} <= optimized  # a later fit trains it
    else:
        assert learn.model.head.side is None


def test_a_phase_that_diverges_is_undone_but_not_the_head(make, reviews, capsys):
    def diverge(learn):
        learn.loss_grad = learn.loss_grad * float("nan")

    learn = make(reviews, cbs=InPhase(2, diverge))
    ladder = learn.fit_gradual("auto")
    assert ladder["kept"].tolist()[:2] == [True, False] and "loss became nan" in capsys.readouterr().out
    assert learn.validate()[1] == pytest.approx(ladder[ladder["kept"]]["accuracy"].iloc[-1])
    with pytest.raises(TrainingDiverged):  # a head of two layers takes steps
        make(reviews, head_layers=2, cbs=InPhase(1, diverge)).fit_gradual("auto")


def test_auto_needs_validation_rows_of_two_classes_and_a_valid_budget(make, reviews):
    with pytest.raises(ValueError, match=r"needs validation rows, and there are none. Pass valid=0.15"):
        make(reviews, valid=0).fit_gradual("auto")
    with pytest.raises(ValueError, match="all 5 have the label 'good'"):
        make(reviews, valid=reviews.index[:5]).fit_gradual("auto")
    with pytest.raises(ValueError, match="preset 'all' is not one of"):
        make(reviews).fit_gradual("all")
    with pytest.raises(ValueError, match="'soon'"):
        make(reviews).fit_gradual(budget="soon")


def test_a_phase_that_does_not_fit_in_the_budget_is_not_started(make, reviews, monkeypatch, capsys):
    monkeypatch.setattr(Adaptive, "_time_forward", lambda self: 1.0)  # a second per row and layer
    ladder = make(reviews).fit_gradual(budget="50 s")
    assert ladder["phase"].tolist() == ["head"]
    assert "stopping: side network needs about " in capsys.readouterr().out


def test_the_expected_time_comes_from_trained_phases(make, reviews):
    plan = Adaptive(make(reviews))
    head, _, last, _ = plan.phases
    plan.forward_seconds = 2.0
    assert plan.expected_seconds(head, []) == 102 * 2 * 2  # both layers are frozen
    head_row = {"seconds": 9.0}
    epochs = last.epochs
    assert plan.expected_seconds(last, [head_row]) == 102 * 3 * epochs * 2 * 2  # three passes for each of two layers
    assert plan.expected_seconds(last, [head_row, head_row, {"seconds": 5.0}]) == 5.0


def test_an_interrupted_adaptive_run_resumes_as_if_it_had_not_been(make, reviews, monkeypatch):
    train = adaptive.train_phase
    monkeypatch.setattr(adaptive, "goes_on", lambda ladder, planned: True)

    def interrupted(*args):
        if args[2] == 2:
            raise KeyboardInterrupt
        return train(*args)

    whole = make(reviews)
    expected = whole.fit_gradual("auto").drop(columns="seconds")
    assert len(expected) > 2
    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
        patch.setattr(adaptive, "train_phase", interrupted)
        make(reviews).fit_gradual("auto")
    learn = make(reviews)
    assert learn.fit_gradual("auto", resume=True).drop(columns="seconds").equals(expected)
    assert all(torch.equal(a, b) for a, b in zip(learn.model.parameters(), whole.model.parameters(), strict=True))
