"""Learning rates follow the shape of a phase, by steps or by time."""

from types import SimpleNamespace

import pytest
from fastai.callback.core import Callback

from kickbert import Phase
from kickbert.training import rates
from kickbert.training.rates import Rates


def test_rates_follow_the_shape_of_the_phase(make, reviews):
    learn = make(reviews)
    phase = Phase("head", 3, 2, 1e-2, shape="triangle", warmup=0.2)
    learn.fit_gradual([phase])
    steps = 2 * len(learn.dls.train)
    assert learn.recorder.hps["lr"] == pytest.approx([1e-2 * phase.factor(i / steps) for i in range(steps)])


def test_a_deadline_ends_a_phase_at_a_low_rate(make, reviews, monkeypatch):
    clock = iter(range(1, 10_000))
    monkeypatch.setattr(rates, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    learn, seen = make(reviews), []
    learn.freeze_to(3)

    class Watch(Callback):
        def after_batch(self):
            if self.training:
                seen.append(self.opt.hypers[-1]["lr"])

    learn.fit(1, cbs=[Rates(Phase("head", 3, 1, 1e-3, shape="linear"), 4, deadline=5.5), Watch()])
    assert len(seen) == 5 < len(learn.dls.train) and seen[1:] == sorted(seen[1:], reverse=True) and seen[-1] < 2e-4
    assert learn.recorder.values[-1][1] > 0  # it was validated nevertheless
