"""fastai's documentation, "Callbacks": fastai's own callbacks."""

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback, CancelBatchException, CancelFitException, FetchPredsCallback
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.progress import CSVLogger, ShowGraphCallback
from fastai.callback.tracker import (
    EarlyStoppingCallback,
    ReduceLROnPlateau,
    SaveModelCallback,
    TerminateOnNaNCallback,
)
from fastai.callback.training import GradientAccumulation, GradientClip, ShortEpochCallback


def test_save_model_brings_the_best_back(learn):
    learn.fit(3, 1e-3, cbs=SaveModelCallback(monitor="valid_loss", comp=np.greater))
    best = max(row[1] for row in learn.recorder.values)
    assert learn.validate()[0] == pytest.approx(best, abs=1e-5)


def test_save_model_every_epoch(learn, tmp_path):
    learn.fit(2, 1e-3, cbs=SaveModelCallback(every_epoch=True, fname="epoch"))
    assert sorted(file.name for file in (tmp_path / "models").glob("epoch*")) == ["epoch_0.pth", "epoch_1.pth"]


def test_reduce_lr_on_plateau(learn):
    learn.fit(4, 1e-9, cbs=ReduceLROnPlateau(monitor="accuracy", patience=1, factor=10))
    assert learn.opt.hypers[-1]["lr"] <= 1.0001e-10
    assert [group["lr"] for group in learn.opt.opt.param_groups] == [h["lr"] for h in learn.opt.hypers]


def test_early_stopping(learn):
    learn.fit(5, 1e-9, cbs=EarlyStoppingCallback(monitor="accuracy", patience=2))
    assert len(learn.recorder.values) == 3


def test_trackers_take_a_fit_that_starts_later(learn):
    learn.fit(3, 1e-3, start_epoch=1, cbs=[SaveModelCallback(), EarlyStoppingCallback(patience=3)])
    assert [np.isnan(row[1]) for row in learn.recorder.values] == [True, False, False]


def test_terminate_on_nan_ends_quietly(learn):
    learn.fit(1, 1e-3, cbs=TerminateOnNaNCallback())
    assert len(learn.recorder.values) == 1


def test_csv_logger_writes_the_table(learn):
    logger = CSVLogger()
    learn.fit(2, 1e-3, cbs=logger)
    table = pd.read_csv(learn.path / "history.csv")
    assert table.columns.tolist() == list(learn.recorder.metric_names) and table["epoch"].tolist() == [1, 2]
    assert table["valid_loss"].tolist() == pytest.approx([row[1] for row in learn.recorder.values])


def test_show_graph_and_mixed_precision_do_no_harm(learn):
    learn.fit(1, 1e-3, cbs=[ShowGraphCallback(), MixedPrecision(amp_mode="bf16")])
    assert learn.model.precision == "bf16" and len(learn.recorder.values) == 1


def test_gradient_accumulation_steps_less_often(learn):
    steps = []

    class Count(Callback):
        def after_step(self):
            steps.append(self.train_iter)

    learn.fit(1, 1e-3, cbs=[GradientAccumulation(32), Count()])
    assert 0 < len(steps) < len(learn.dls.train)


def test_gradient_clip_bounds_the_norm(learn):
    norms = []

    class Norm(Callback):
        order = GradientClip.order + 1

        def before_step(self):
            norms.append(sum(p.grad.square().sum() for p in self.model.parameters() if p.grad is not None).sqrt())

    learn.fit(1, 1e-3, cbs=[GradientClip(1e-3), Norm()])
    assert torch.stack(norms).max() <= 1.01e-3


def test_a_short_epoch(learn):
    learn.fit(1, 1e-3, cbs=ShortEpochCallback(pct=0.3))
    assert 0 < len(learn.recorder.losses) < len(learn.dls.train)


def test_fetch_preds_has_those_of_the_epoch(learn):
    fetch = FetchPredsCallback(reorder=True)
    learn.fit(1, 1e-3, cbs=fetch)
    assert torch.allclose(fetch.preds[0], learn.get_preds()[0], atol=1e-5)


def test_a_batch_and_a_fit_can_be_cancelled(learn):
    class Stop(Callback):
        def before_batch(self):
            if self.training and self.train_iter == 1:
                raise CancelBatchException
            if self.training and self.train_iter == 3:
                raise CancelFitException

    learn.fit(2, 1e-3, cbs=Stop())
    assert learn.train_iter == 3 and learn.validate()


@pytest.mark.parametrize("cache", [True, False])
def test_what_a_callback_sees_of_a_batch(make, reviews, cache):

    seen = []

    class See(Callback):
        def after_pred(self):
            seen.append((self.x.shape[0], self.y.shape, self.pred.shape, len(self.xb), len(self.yb), self.x.dtype))

    learn = make(reviews, cache=cache)
    learn.freeze()
    learn.fit(1, 1e-3, cbs=See())
    assert seen[0] == (16, (16,), (16, 2), 1, 1, torch.int64)
