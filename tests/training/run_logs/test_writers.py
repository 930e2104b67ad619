"""Logs read back from TensorBoard, W&B offline and MLflow on SQLite, in the clients' own formats."""

import pytest

from kickbert import Phase
from kickbert.training.run_logs.mlflow_store import open_store

pytestmark = pytest.mark.system
PHASES = [Phase("head", 3, 2, 1e-2), Phase("last layer", 2, 1, 1e-3)]


@pytest.fixture(autouse=True)
def local(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "runs"))


def test_tensorboard_is_read_back(make, reviews, tmp_path):
    pytest.importorskip("tensorboard", reason="the extra kickbert[tensorboard] is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    learn = make(reviews)
    ladder = learn.fit_gradual(PHASES, cbs="tensorboard")
    (folder,) = (tmp_path / "logs").iterdir()
    events = EventAccumulator(str(folder))
    events.Reload()
    assert [e.step for e in events.Scalars("loss")] == list(range(1, 3 * len(learn.dls.train) + 1))
    assert [e.value for e in events.Scalars("ladder/accuracy")] == pytest.approx(ladder["accuracy"].tolist())
    assert {"lr/head", "valid_loss", "macro-F1"} <= set(events.Tags()["scalars"])


def test_wandb_is_read_back(make, reviews, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="the extra kickbert[wandb] is not installed")
    rows = []
    log = wandb.sdk.wandb_run.Run.log
    monkeypatch.setattr(wandb.sdk.wandb_run.Run, "log", lambda self, row: (rows.append(row), log(self, row))[1])
    learn = make(reviews)
    ladder = learn.fit_gradual(PHASES, cbs="wandb")
    assert [row["step"] for row in rows if "loss" in row] == list(range(1, 3 * len(learn.dls.train) + 1))
    assert [r["ladder/accuracy"] for r in rows if "ladder/accuracy" in r] == ladder["accuracy"].tolist()
    assert len(list(tmp_path.rglob("*.wandb"))) == 1


def test_mlflow_is_read_back(make, reviews):
    pytest.importorskip("mlflow", reason="the extra kickbert[track] is not installed")
    ladder = make(reviews).fit_gradual(PHASES, cbs="mlflow")
    mlflow = open_store()
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    client = mlflow.MlflowClient()
    history = client.get_metric_history(run.info.run_id, "ladder/accuracy")
    assert [m.value for m in history] == ladder["accuracy"].tolist()
    steps = [m.step for m in client.get_metric_history(run.info.run_id, "loss")]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) > 3
    assert run.data.params["task"] == "single label" and run.info.status == "FINISHED"
