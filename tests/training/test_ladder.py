"""The ladder: a phase has its own rows, tokens and end; "auto" climbs, stops and goes back by validation rows."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback

from kickbert import Phase, TrainingDiverged, gradual_unfreezing
from kickbert.training import callbacks, ladder
from kickbert.training.callbacks import Rates
from kickbert.training.ladder import goes_on
from kickbert.training.metrics import difference
from kickbert.training.schedule import rungs_of

WELL, CHANCE = {"low": 1.0, "kept": True}, {"low": -1.0, "kept": True}
HARM = {"low": -3.0, "kept": False}


@pytest.fixture
def spoil(monkeypatch):
    """Make a function run at each step of a phase of this number."""

    def set_up(number: int, what):
        class Spoil(Callback):
            order = -10

            def after_loss(self):
                if self.training and self.learn.phase_title.startswith(f"{number} "):
                    what(self.learn)

        return Spoil()

    return set_up


@pytest.mark.parametrize(
    ("rungs", "planned", "expected"),
    [
        ([], 2, True),
        ([CHANCE], 2, True),  # of the head nothing is known: there was nothing before
        ([CHANCE, WELL], 2, True),
        ([CHANCE, CHANCE], 2, False),
        ([CHANCE, CHANCE], 3, True),
        ([CHANCE, HARM], 3, False),
        ([CHANCE, WELL, WELL], 2, True),
        ([CHANCE, WELL, CHANCE], 2, False),
    ],
)
def test_whether_it_goes_on(rungs, planned, expected):
    assert goes_on(rungs, planned) == expected


@pytest.mark.parametrize(
    ("layers", "freeze_to"), [(2, [3, 1, 1]), (4, [5, 1, 1]), (6, [7, 3, 2, 2]), (12, [13, 9, 5, 2, 2])]
)
def test_rungs_begin_with_the_default_and_go_deeper(layers, freeze_to):
    rungs = rungs_of(layers + 2, {})
    assert [rung.freeze_to for rung in rungs] == freeze_to and rungs[:2] == gradual_unfreezing(layers + 2)
    assert all(rung.lr == 2e-4 for rung in rungs[2:-1])


def test_the_interval_of_a_difference_has_its_coverage():
    rng, within = np.random.default_rng(0), []
    for _ in range(400):
        before = rng.random(500) < 0.8
        after = np.where(rng.random(500) < 0.1, rng.random(500) < 0.9, before)
        found = difference(after.astype(float), before.astype(float))
        within.append(found["low"] <= 1.0 <= found["high"])  # 10 % of the rows go from 80 to 90 % right
    assert np.mean(within) == pytest.approx(0.95, abs=0.03)


def test_it_climbs_and_ends_with_the_best_rung(make, reviews, capsys):
    learn = make(reviews, valid=0.3)
    found = learn.fit_gradual("auto")
    assert (
        found["phase"].tolist()[:2] == ["head", "last 2 layers"] and found["gain"][0] == 0 and found["kept"][:1].all()
    )
    kept = found[found["kept"]]
    assert learn.validate()[1] == pytest.approx(kept["accuracy"].iloc[-1])
    told = capsys.readouterr().out
    assert "last 2 layers: about" in told and f"last 2 layers: {found['gain'][1]:+.1f} points (95 %: " in told


def test_a_rung_that_did_harm_is_undone(make, reviews, spoil, capsys):
    def harm(learn):
        learn.model.head.classifier.weight.data.zero_()

    learn = make(reviews, valid=0.3)
    learn.fit_one_cycle(8, 4e-3)
    assert learn.validate()[1] > 0.8  # so that there is something to lose
    learn.add_cb(spoil(2, harm))
    found = learn.fit_gradual("auto")
    assert found["kept"].tolist() == [True, False] and found["gain"][1] < 0 and ": undone" in capsys.readouterr().out
    assert learn.validate()[1] == pytest.approx(found["accuracy"][0])
    assert learn.metadata["metrics"]["accuracy"] == pytest.approx(found["accuracy"][0])


def test_a_rung_without_a_finite_loss_is_undone_but_not_the_head(make, reviews, spoil, capsys):
    def diverge(learn):
        learn.loss_grad = learn.loss_grad * float("nan")

    learn = make(reviews, cbs=spoil(2, diverge))
    found = learn.fit_gradual("auto")
    assert found["kept"].tolist() == [True, False] and "loss became nan" in capsys.readouterr().out
    assert learn.validate()[1] == pytest.approx(found["accuracy"][0])
    with pytest.raises(TrainingDiverged):
        make(reviews, cbs=spoil(1, diverge)).fit_gradual("auto")


def test_what_auto_cannot_decide_by(make, reviews):
    with pytest.raises(ValueError, match="and there are none; give valid="):
        make(reviews, valid=0).fit_gradual("auto")
    with pytest.raises(ValueError, match="all 5 are of 'good'"):
        make(reviews, valid=reviews.index[:5]).fit_gradual("auto")
    with pytest.raises(ValueError, match="phases='all'"):
        make(reviews).fit_gradual("all")
    with pytest.raises(ValueError, match="is no time"):
        make(reviews).fit_gradual(budget="soon")


def test_a_short_budget_leaves_the_head_of_a_sample(make, reviews, monkeypatch, capsys):
    learn = make(reviews)
    cost = ladder.Cost(learn)
    monkeypatch.setattr(ladder, "Cost", lambda learn: cost)
    cost.rate *= 1e4  # as if the encoder were as much larger
    found = learn.fit_gradual(budget=1)
    told = capsys.readouterr().out
    assert found["phase"].tolist() == ["head"] and found["rows"][0] < len(learn.dls.train_ds) // 2
    assert f"on {found['rows'][0]} of 102 rows" in told and "s of the budget are left: it ends here" in told


def test_an_epoch_is_added_where_half_of_it_fits_and_what_is_computed_first_is_not_its_time(make, reviews):
    plan = ladder.Adaptive(make(reviews), budget=1.0)
    plan.cost.rate = 1.0  # seconds of a layer over a token: a phase takes thousands, beside which the test's own vanish
    done, rung, rows = [{"rows": 50, "seconds": 0.0, "low": 1.0, "kept": True}], plan.rungs[1], plan.cost.rows
    one, two = (plan.cost.of(replace(rung, epochs=n), rows, 50) for n in (1, 2))
    for budget, epochs in (((one + two) / 2 + 60, 2), ((one + two) / 2 - 60, 1), (two + 60, 2)):
        plan.budget, plan.begun = budget, time.perf_counter()
        phase = plan.next(done)
        assert (phase.epochs, phase.rows) == (epochs, None)
        missing = (rows - 50) * plan.cost.tokens * (rung.freeze_to - 1)  # states of rows that the head had not
        validation = epochs * plan.cost.valid_tokens * (plan.cost.n_layers - rung.freeze_to + 1)
        assert plan.seconds == pytest.approx(budget - missing - validation, abs=60)


def test_the_time_of_a_phase_ends_it_at_a_rate_of_zero(make, reviews, monkeypatch):
    clock = iter(range(1, 10_000))
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    learn, phase, rates = make(reviews), Phase("head", 3, 1, 1e-3, shape="linear"), []
    learn.freeze_to(3)

    class Watch(Callback):
        def after_batch(self):
            if self.training:
                rates.append(self.opt.hypers[-1]["lr"])

    learn.fit(1, cbs=[Rates(phase, 4, seconds=4.5), Watch()])
    assert len(rates) == 4 < len(learn.dls.train) and rates == sorted(rates, reverse=True) and rates[-1] < 2e-4
    assert learn.recorder.values[-1][1] > 0  # it was validated all the same


def test_a_phase_trains_on_its_number_of_rows(make, reviews):
    learn, seen = make(reviews), []

    class Watch(Callback):
        def before_batch(self):
            seen.append((self.training, self.learn.phase_title, len(self.xb[0])))

    found = learn.fit_gradual([Phase("head", 3, 2, 1e-3, rows=40), Phase("all", 1, 2, 1e-3)], cbs=[Watch()])
    assert found["rows"].tolist() == [40, 102] and len(learn.dls.train_ds) == 102
    assert sum(n for training, title, n in seen if training and title == "1/2 head") == 80


def test_an_adaptive_run_that_was_broken_off_ends_as_if_it_had_not_been(make, reviews, monkeypatch):
    train = ladder._train
    monkeypatch.setattr(ladder, "goes_on", lambda done, planned: True)

    def broken(*args):
        if args[2] == 2:
            raise KeyboardInterrupt
        return train(*args)

    whole = make(reviews)
    expected = whole.fit_gradual("auto").drop(columns="seconds")
    assert len(expected) > 2
    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
        patch.setattr(ladder, "_train", broken)
        make(reviews).fit_gradual("auto")
    learn = make(reviews)
    found = learn.fit_gradual("auto", resume=True).drop(columns="seconds")
    assert found.equals(expected)
    assert all(torch.equal(a, b) for a, b in zip(learn.model.parameters(), whole.model.parameters(), strict=True))


def test_layers_that_go_on_training_keep_their_moments(make, reviews):
    learn, seen = make(reviews), []

    class Watch(Callback):
        def before_fit(self):
            state = self.opt.opt.state
            seen.append({n: int(state[p]["step"]) for n, p in self.learn.model.named_parameters() if state.get(p)})

    learn.fit_gradual([Phase("head", 3, 2, 1e-3), Phase("last", 2, 1, 1e-3)], cbs=[Watch()])
    steps = 2 * len(learn.dls.train)
    assert seen == [{}, {"head.classifier.weight": steps, "head.classifier.bias": steps}]
    learn.fit_gradual([Phase("head", 3, 1, 1e-3)], cbs=[Watch()])
    assert seen[-1] == {}  # a run of its own
