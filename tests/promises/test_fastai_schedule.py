"""fastai's documentation, "Hyperparam schedule"."""

import numpy as np
import pytest
from fastai.callback.schedule import ParamScheduler, SchedCos, minimum, valley


def test_fit_one_cycle_rises_and_falls(learn):
    learn.fit_one_cycle(2, 1e-3, pct_start=0.5)
    rates = learn.recorder.lrs
    assert max(rates) == pytest.approx(1e-3, rel=0.01) and rates[0] == pytest.approx(1e-3 / 25, rel=0.01)
    assert np.argmax(rates) == pytest.approx(len(rates) / 2, abs=1)


def test_fit_one_cycle_by_slice_has_smaller_rates_for_deeper_groups(learn):
    learn.fit_one_cycle(1, slice(1e-5, 1e-3))
    assert learn.history.fits[-1].shares == pytest.approx(np.geomspace(0.01, 1, 4), rel=1e-3)


def test_fit_flat_cos_is_flat_first(learn):
    learn.fit_flat_cos(2, 1e-3, pct_start=0.75)
    assert learn.recorder.lrs[: len(learn.recorder.lrs) // 2] == pytest.approx([1e-3] * (len(learn.recorder.lrs) // 2))


def test_fit_sgdr_restarts(learn):
    learn.fit_sgdr(2, 1, 1e-3)
    assert len(learn.recorder.values) == 3
    assert sum(np.diff(learn.recorder.lrs) > 1e-4) == 1


def test_fit_is_constant_and_takes_a_start_epoch(learn):
    learn.fit(3, 2e-4, start_epoch=1)
    assert set(learn.recorder.lrs) == {2e-4} and len(learn.recorder.losses) == 2 * len(learn.dls.train)


def test_fine_tune_freezes_then_unfreezes(learn):
    learn.fine_tune(1, 2e-3, freeze_epochs=2)
    head, everything = learn.history.fits
    assert head.groups == ["head"] and len(head.values) == 2
    assert len(everything.groups) == 4 and max(everything.rates) == pytest.approx(1e-3, rel=0.05)


def test_lr_find_suggests_and_leaves_the_weights(learn):
    before = learn.get_preds()[0]
    suggested = learn.lr_find(num_it=20, show_plot=False, suggest_funcs=(minimum, valley))
    assert 0 < suggested.valley < 10 and 0 < suggested.minimum < 10
    assert np.allclose(learn.get_preds()[0], before, atol=1e-6)


def test_a_custom_schedule(learn):
    learn.fit(1, cbs=ParamScheduler({"lr": SchedCos(1e-3, 1e-5)}))
    assert learn.recorder.lrs[0] == pytest.approx(1e-3) and learn.recorder.lrs[-1] < 2e-4


def test_plot_sched_and_plot_loss_draw(learn):
    learn.fit_one_cycle(2, 1e-3)
    learn.recorder.plot_sched()
    assert len(learn.recorder.plot_loss(skip_start=0).lines) >= 2
