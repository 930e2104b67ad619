"""Run logs: what a training did is read back from each of them, and no log changes or ends the training."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from kickbert import Phase
from kickbert.training import RunLog, ladder, upload_run

PHASES = [Phase("head", 3, 2, 1e-2), Phase("last layer", 2, 1, 1e-3)]


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "runs"))


def run_folder(tmp_path):
    (folder,) = (tmp_path / "logs").iterdir()
    return folder


def weights(learn) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in learn.model.parameters()])


def test_one_step_goes_on_across_phases_and_training_is_the_same(make, reviews, tmp_path):
    plain = make(reviews)
    plain.fit_gradual(PHASES)
    assert not (tmp_path / "logs").exists()  # nothing is reported unless asked
    learn = make(reviews)
    ladder = learn.fit_gradual(PHASES, cbs="csv")
    assert torch.equal(weights(plain), weights(learn))
    folder, batches = run_folder(tmp_path), len(learn.dls.train)
    steps, epochs, logged = (pd.read_csv(folder / f"{table}.csv") for table in ("steps", "epochs", "ladder"))
    assert steps["step"].tolist() == list(range(1, 3 * batches + 1))
    assert epochs["step"].tolist() == [batches, 2 * batches, 3 * batches]
    assert epochs["phase"].tolist() == ["1/2 head"] * 2 + ["2/2 last layer"]
    assert logged["accuracy"].tolist() == ladder["accuracy"].tolist() and logged["epochs"].tolist() == [2, 1]
    assert logged["trainable"].tolist() == ladder["trainable"].tolist()
    assert steps["lr/layer 2"].notna().sum() == batches and steps["lr/head"].max() == pytest.approx(1e-2, rel=0.1)
    assert np.isfinite(steps["loss"]).all() and (epochs["cache/pooled/rows"] >= len(reviews)).all()
    assert {f.name for f in (folder / "figures").iterdir()} == {"calibration.png", "confusion.png"}
    assert json.loads((folder / "parameters.json").read_text())["task"] == "single label"


def test_a_resumed_run_goes_on_at_its_step(make, reviews, tmp_path, monkeypatch):
    killed = make(reviews)
    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
        train = ladder._train
        patch.setattr(ladder, "_train", lambda *args: train(*args) if args[2] == 0 else _interrupt())
        killed.fit_gradual(PHASES)
    learn = make(reviews)
    learn.fit_gradual(PHASES, resume=True, cbs="csv")
    steps, batches = pd.read_csv(run_folder(tmp_path) / "steps.csv")["step"], len(learn.dls.train)
    assert steps.tolist() == list(range(2 * batches + 1, 3 * batches + 1))


def _interrupt():
    raise KeyboardInterrupt


def test_of_processes_that_train_together_the_first_alone_logs(make, reviews, tmp_path, monkeypatch):
    learn = make(reviews)
    monkeypatch.setattr("kickbert.training.run_logs.rank_distrib", lambda: 1)
    learn.fit_gradual(PHASES, cbs=["csv", "tensorboard"])
    assert not (tmp_path / "logs").exists() and len(learn.ladder) == 2


def test_a_learners_log_is_one_run_whatever_fits_it_goes_through(make, reviews, tmp_path):
    learn = make(reviews, cbs=["csv"])
    learn.lr_find(num_it=3, show_plot=False)
    learn.validate()
    assert not (tmp_path / "logs").exists()
    learn.fine_tune(1)
    steps = pd.read_csv(run_folder(tmp_path) / "steps.csv")["step"]
    assert steps.tolist() == list(range(1, 2 * len(learn.dls.train) + 1))
    learn.run_log.close()
    learn.fit_one_cycle(1)
    assert sorted(len(pd.read_csv(file)) for file in tmp_path.glob("logs/*/ladder.csv")) == [1, 2]


def test_a_log_by_name_ends_with_its_fit(make, reviews, tmp_path):
    learn, mine = make(reviews), RunLog("csv", folder=tmp_path / "mine")
    for _ in range(2):
        learn.fit_one_cycle(1, cbs=[mine, "csv"])
    assert len(list((tmp_path / "mine").iterdir())) == 1 and mine.step == 2 * len(learn.dls.train)
    assert len(list((tmp_path / "logs").iterdir())) == 2


@pytest.fixture
def mlflow(tmp_path):
    return pytest.importorskip("mlflow", reason="the extra kickbert[track] is not installed")


def mlflow_run(mlflow):
    from kickbert.utils.log_writers import open_store

    open_store()
    (found,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    return mlflow.MlflowClient(), found


def test_a_server_that_does_not_answer(make, reviews, tmp_path, mlflow, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    learn = make(reviews, cbs="mlflow")
    with pytest.warns(UserWarning, match=r"mlflow cannot be written to .*upload_run\('.*', 'mlflow'\) sends") as said:
        ladder = learn.fit_gradual(PHASES)
    assert len([w for w in said if "mlflow" in str(w.message)]) == 1 and len(ladder) == 2
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "runs"))
    upload_run(run_folder(tmp_path), "mlflow")
    client, found = mlflow_run(mlflow)
    assert [m.value for m in client.get_metric_history(found.info.run_id, "ladder/accuracy")] == pytest.approx(
        ladder["accuracy"].tolist()
    )
    assert len(client.get_metric_history(found.info.run_id, "loss")) == 3 * len(learn.dls.train)


def test_a_log_that_fails_on_the_way_is_kept_whole(make, reviews, tmp_path, monkeypatch):
    from kickbert.utils import log_writers

    pytest.importorskip("tensorboard", reason="the extra kickbert[tensorboard] is not installed")
    write = log_writers.TensorBoardWriter.write

    def once(self, table, rows, start):
        if start:
            raise ConnectionError("the line is cut")
        write(self, table, rows, start)

    monkeypatch.setattr(log_writers.TensorBoardWriter, "write", once)
    learn = make(reviews)
    with pytest.warns(UserWarning, match="tensorboard cannot be written to .*the line is cut"):
        learn.fit_gradual(PHASES, cbs="tensorboard")
    steps = pd.read_csv(run_folder(tmp_path) / "steps.csv")["step"]
    assert steps.tolist() == list(range(1, 3 * len(learn.dls.train) + 1))


def test_a_full_disk_ends_the_log_and_not_the_training(make, reviews, monkeypatch):
    from kickbert.utils import log_writers

    def full(self, *args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_writers.CsvWriter, "write", full)
    with pytest.warns(UserWarning, match="ends here .*No space left on device.*training goes on"):
        assert len(make(reviews).fit_gradual(PHASES, cbs="csv")) == 2


def test_a_log_is_no_part_of_the_run_that_a_checkpoint_is_of(make, reviews, capsys):
    make(reviews).fit_gradual(PHASES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(reviews, cbs="csv").fit_gradual(PHASES, resume=True)
    assert "resuming after 2 of 2" in capsys.readouterr().out


def test_an_exported_learner_leaves_its_run_behind(make, reviews, tmp_path):
    from fastai.learner import load_learner

    learn = make(reviews, cbs="csv")
    learn.fit_one_cycle(1)
    learn.export(tmp_path / "k.pkl")
    log = load_learner(tmp_path / "k.pkl").run_log
    assert log.names == ("csv",) and log.step == 0 and log.writers == {}


def test_several_labels_and_numbers_have_their_figures(make, reviews, tmp_path):
    df = reviews.assign(label=[["a", "b"] if label == "good" else ["a"] for label in reviews["label"]])
    make(df, cbs=RunLog("csv", folder=tmp_path / "labels")).fit_one_cycle(1)
    df = reviews.assign(label=np.linspace(0.0, 1.0, len(reviews)))
    make(df, cbs=RunLog("csv", folder=tmp_path / "numbers")).fit_one_cycle(1)
    assert [f.name for f in (tmp_path / "labels").rglob("*.png")] == ["calibration.png"]
    assert [f.name for f in (tmp_path / "numbers").rglob("*.png")] == ["values.png"]


def test_what_is_no_log(make, reviews, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"cbs='tensorbord' is not one of .*did you mean 'tensorboard'"):
        make(reviews, cbs="tensorbord")
    with pytest.raises(ValueError, match=r"has no parameters\.json, so no run was logged there"):
        upload_run(tmp_path, "csv")
    monkeypatch.setattr("kickbert.training.run_logs.EXTRAS", {"csv": "table"})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"kickbert\[table\]"):
        RunLog("csv")
