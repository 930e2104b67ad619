"""Metrics are of decoded predictions: by the median of ordered classes, by thresholds of labels, in a number's unit."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback, CancelEpochException, CancelValidException
from fastai.callback.progress import CSVLogger
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.callback.training import ShortEpochCallback
from fastai.learner import Recorder
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, r2_score

from kickbert import Phase
from kickbert.targets.fitting import fit_target
from kickbert.training.losses import loss_for
from kickbert.training.metrics import metrics_for


def values(target, logits: torch.Tensor, codes: torch.Tensor, loss) -> dict[str, float]:
    """Each metric of two batches."""
    scores = {}
    for metric in metrics_for(target):
        metric.reset()
        for part in (slice(0, 4), slice(4, None)):
            learn = SimpleNamespace(loss_func=loss, pred=logits[part], y=codes[part], to_detach=lambda x: x)
            metric.accumulate(learn)
        scores[metric.name] = metric.value
    return scores


def test_classes():
    logits, codes = torch.randn(9, 3, generator=torch.manual_seed(0)), torch.tensor([0, 1, 2] * 3)
    target, y_pred = fit_target(pd.Series(["a", "b", "c"] * 3)), logits.argmax(1)
    expected = {"accuracy": accuracy_score(codes, y_pred), "macro-F1": f1_score(codes, y_pred, average="macro")}
    assert values(target, logits, codes, loss_for(target)) == pytest.approx(expected)


def test_ordered_classes_are_decided_by_the_median():
    target, codes = fit_target(pd.Series(np.arange(9.0)), bins=3), torch.tensor([0, 1, 2] * 3)
    probs = torch.tensor([[0.4, 0.25, 0.35]]).repeat(9, 1)  # the median is the second, the argmax the first
    scores = values(target, probs.log(), codes, loss_for(target))
    assert scores["accuracy"] == pytest.approx(accuracy_score(codes, np.ones(9)))
    assert scores["quadratic kappa"] == pytest.approx(cohen_kappa_score(codes, np.ones(9), weights="quadratic"))


def test_labels_are_decided_by_their_thresholds():
    target = fit_target(pd.Series([["a", "b"], ["b"], []] * 3))
    probs = torch.rand(9, 2, generator=torch.manual_seed(0))
    codes = torch.randint(2, (9, 2), generator=torch.manual_seed(1)).float()
    loss = loss_for(target)
    loss.thresh = np.array([0.2, 0.8])
    y_pred = probs.numpy() >= loss.thresh
    expected = {f"{kind}-F1": f1_score(codes, y_pred, average=kind, zero_division=0) for kind in ("micro", "macro")}
    assert values(target, probs.logit(), codes, loss) == pytest.approx(expected)


def test_numbers_are_judged_in_their_own_unit():
    numbers = pd.Series(np.exp(np.linspace(0, 9, 9)), name="raised")
    target = fit_target(numbers, task="regression")
    assert target.log
    codes = torch.from_numpy(target.encode(numbers))
    outputs = codes[:, None].float() + 0.1
    predicted = target.inverse_transform(outputs.numpy().reshape(-1).astype(float))
    scores = values(target, outputs, codes, loss_for(target))
    assert scores["mean absolute error"] == pytest.approx(np.abs(predicted - numbers).mean(), rel=1e-4)
    assert scores["R2"] == pytest.approx(r2_score(numbers, predicted), rel=1e-4)


class Cancel(Callback):
    """Cancels at an event of the second epoch, before any other callback hears of it."""

    order = -20

    def __init__(self, event: str, exception: type[Exception]):
        setattr(self, event, lambda: self.cancel(exception))

    def cancel(self, exception: type[Exception]) -> None:
        if self.epoch == 1:
            raise exception


NEITHER, TRAINED = [True] * 4, [False, True, True, True]


@pytest.mark.parametrize(
    ("cbs", "options", "lacking"),
    [
        ([], {"start_epoch": 2}, [NEITHER, NEITHER, [False] * 4]),
        ([ShortEpochCallback(pct=0.3)], {}, [NEITHER] * 3),
        ([ShortEpochCallback(pct=0.3, short_valid=False)], {}, [[True, False, False, False]] * 3),
        ([Cancel("before_epoch", CancelEpochException)], {}, [[False] * 4, NEITHER, [False] * 4]),
        ([Cancel("after_train", CancelEpochException)], {}, [[False] * 4, NEITHER, [False] * 4]),
        ([Cancel("before_validate", CancelValidException)], {}, [[False] * 4, TRAINED, [False] * 4]),
    ],
)
def test_an_epoch_that_is_not_whole_has_nothing_under_a_wrong_name(make, reviews, cbs, options, lacking, capsys):
    learn = make(reviews, bs=8)  # two batches validate
    learn.fit(3, 1e-3, cbs=cbs, **options)
    assert learn.recorder.names == ["train_loss", "valid_loss", "accuracy", "macro-F1"]
    assert np.isnan(np.array(learn.recorder.values, dtype=float)).tolist() == lacking
    lines = capsys.readouterr().out.splitlines()[-3:]
    for number, (line, gone) in enumerate(zip(lines, lacking, strict=True), start=1):
        assert line.startswith(f"epoch {number}  ")
        assert [name not in line for name in learn.recorder.names] == gone
    assert np.isnan(learn.history.fits[-1].values).tolist() == lacking
    assert np.isfinite(learn.validate()).all()


def test_validation_may_be_switched_off_and_training_rows_measured(make, reviews, tmp_path):
    learn = make(reviews, cbs=[Recorder(train_metrics=True)])
    learn.fit(1, 1e-3, cbs=CSVLogger())
    names = ["train_loss", "train_accuracy", "train_macro-F1", "valid_loss", "valid_accuracy", "valid_macro-F1"]
    assert learn.recorder.names == names
    assert (tmp_path / "history.csv").read_text().splitlines()[0] == ",".join(["epoch", *names, "time"])
    learn.recorder.train_metrics = learn.recorder.valid_metrics = False
    assert list(learn.fit_gradual([Phase("head", 3, 1, 1e-3)]).columns[-2:]) == ["seconds", "train_loss"]


def test_the_ladder_is_of_the_weights_that_were_brought_back(make, reviews):
    learn = make(reviews, valid=0.3)
    worst = SaveModelCallback(monitor="valid_loss", comp=np.greater)  # the first epoch's, as the loss falls
    ladder = learn.fit_gradual([Phase("everything", 0, 4, 1e-2)], cbs=[worst])
    fit = learn.history.fits[-1]
    assert fit.kept == int(np.argmax([row[1] for row in fit.values])) < 3
    assert ladder[["valid_loss", "accuracy"]].iloc[0].tolist() == pytest.approx(learn.validate()[:2], abs=1e-5)
    assert learn.metadata["metrics"]["train_loss"] == pytest.approx(fit.values[fit.kept][0]) == ladder["train_loss"][0]
    stopped = learn.fit_gradual([Phase("head", 3, 9, 1e-9)], cbs=[EarlyStoppingCallback(patience=1)])
    assert stopped["epochs"][0] == 2 and learn.history.fits[-1].kept == -1


def test_a_callback_that_waits_for_validation_is_told_that_there_is_none(make, reviews):
    learn = make(reviews, valid=None)
    with pytest.raises(ValueError, match="monitor='valid_loss' is of validation rows, and there are none"):
        learn.fit(1, cbs=SaveModelCallback())
    learn.fit(2, 1e-3, cbs=SaveModelCallback(monitor="train_loss"))
    assert learn.validate() == [None] * 3
