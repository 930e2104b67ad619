"""Run logs in CSV files: their contents, and that no log changes or ends training."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from kickbert import Phase
from kickbert.training import RunLog
from kickbert.training.run_logs import callback, writers

PHASES = [Phase("head", 3, 2, 1e-2), Phase("last layer", 2, 1, 1e-3)]


def run_folder(tmp_path):
    (folder,) = (tmp_path / "logs").iterdir()
    return folder


def weights(learn) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in learn.model.parameters()])


def test_one_step_count_for_all_phases_and_unchanged_training(make, reviews, tmp_path):
    plain = make(reviews)
    plain.fit_gradual(PHASES)
    assert not (tmp_path / "logs").exists()  # nothing is logged unless asked for
    learn = make(reviews)
    ladder = learn.fit_gradual(PHASES, cbs="csv")
    assert torch.equal(weights(plain), weights(learn))
    folder = run_folder(tmp_path)
    batches = len(learn.dls.train)
    log = pd.read_csv(folder / "log.csv")
    steps, epochs, logged = (log.dropna(subset=[tag]) for tag in ("loss", "valid_loss", "ladder/epochs"))
    assert steps["step"].tolist() == list(range(1, 3 * batches + 1))
    assert epochs["step"].tolist() == [batches, 2 * batches, 3 * batches]
    assert epochs["phase"].tolist() == ["1/2 head"] * 2 + ["2/2 last layer"]
    assert logged["ladder/accuracy"].tolist() == ladder["accuracy"].tolist()
    assert logged["ladder/epochs"].tolist() == [2, 1] and logged["step"].tolist() == [2 * batches, 3 * batches]
    assert logged["ladder/trainable"].tolist() == ladder["trainable"].tolist()
    assert steps["lr/layer 2"].notna().sum() == batches and steps["lr/head"].max() == pytest.approx(1e-2, rel=0.1)
    assert np.isfinite(steps["loss"]).all()
    assert json.loads((folder / "parameters.json").read_text())["task"] == "single label"


def test_a_solved_head_is_logged_without_steps(make, reviews, tmp_path):
    learn = make(reviews)
    ladder = learn.fit_gradual(learn.phases(), cbs="csv")
    log = pd.read_csv(run_folder(tmp_path) / "log.csv")
    epochs = log.dropna(subset=["valid_loss"])
    assert epochs["step"].iloc[0] == 0 and epochs["phase"].iloc[0] == "1/2 head"
    assert epochs["train_loss"].iloc[0] == pytest.approx(ladder["train_loss"][0])
    assert log["loss"].notna().sum() == ladder["epochs"][1] * len(learn.dls.train)


def test_only_the_first_rank_logs(make, reviews, tmp_path, monkeypatch):
    learn = make(reviews)
    monkeypatch.setattr(callback, "rank", lambda: 1)
    learn.fit_gradual(PHASES[:1], cbs="csv")
    assert not (tmp_path / "logs").exists() and len(learn.ladder) == 1


def test_the_log_of_a_learner_is_one_run_until_it_is_closed(make, reviews, tmp_path):
    learn = make(reviews, cbs=["csv"])
    learn.lr_find(num_it=3, show_plot=False)
    learn.validate()
    assert not (tmp_path / "logs").exists()
    learn.fine_tune(1)
    steps = pd.read_csv(run_folder(tmp_path) / "log.csv").dropna(subset=["loss"])["step"]
    assert steps.tolist() == list(range(1, 2 * len(learn.dls.train) + 1))
    learn.run_log.close()
    mine = RunLog("csv", folder=tmp_path / "mine")
    for _ in range(2):
        learn.fit_one_cycle(1, cbs=[mine, "csv"])  # "csv" is another log, closed after each fit
    assert len(list((tmp_path / "mine").iterdir())) == 1 and mine.step == 2 * len(learn.dls.train)
    assert len(list((tmp_path / "logs").iterdir())) == 4


def test_a_failing_log_does_not_end_training(make, reviews, monkeypatch):
    def full(self, *args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writers.CsvWriter, "write", full)
    with pytest.warns(UserWarning, match="csv log stops here .*No space left on device.*Training continues") as caught:
        assert len(make(reviews).fit_gradual(PHASES, cbs="csv")) == 2
    assert len([w for w in caught if "csv log" in str(w.message)]) == 1


def test_resuming_does_not_depend_on_logs_nor_does_an_exported_learner_keep_its_run(make, reviews, tmp_path, capsys):
    from fastai.learner import load_learner

    make(reviews).fit_gradual(PHASES[:1])
    learn = make(reviews, cbs="csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="the loss has hardly moved")  # after one epoch of the head
        learn.fit_gradual(PHASES[:1], resume=True)
    assert "resuming after 1 of 1" in capsys.readouterr().out
    learn.fit_one_cycle(1)
    learn.export(tmp_path / "k.pkl")
    log = load_learner(tmp_path / "k.pkl").run_log
    assert log.names == ("csv",) and log.step == 0 and log.writers == {}


def test_unknown_logs(monkeypatch):
    with pytest.raises(ValueError, match=r"cbs='tensorbord' is neither .*Did you mean 'tensorboard'"):
        RunLog("tensorbord")
    monkeypatch.setattr(callback, "EXTRAS", {"csv": "table"})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"kickbert\[table\]"):
        RunLog("csv")
