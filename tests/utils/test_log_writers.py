"""What a training did is read back from TensorBoard, W&B offline and MLflow on SQLite, by the clients' own formats."""

import json

import pandas as pd
import pytest

from kickbert import Phase
from kickbert.utils.log_writers import mlflow_name, open_store

PHASES = [Phase("head", 3, 2, 1e-2), Phase("last layer", 2, 1, 1e-3)]


@pytest.fixture(autouse=True)
def local(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "runs"))


def run_folder(tmp_path):
    (folder,) = (tmp_path / "logs").iterdir()
    return folder


def test_tensorboard_is_read_back(make, reviews, tmp_path):
    pytest.importorskip("tensorboard", reason="the extra kickbert[tensorboard] is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    learn = make(reviews)
    ladder = learn.fit_gradual(PHASES, cbs=["tensorboard", "csv"])
    events = EventAccumulator(str(run_folder(tmp_path)))
    events.Reload()
    steps = pd.read_csv(run_folder(tmp_path) / "steps.csv")
    losses = events.Scalars("loss")
    assert [e.step for e in losses] == steps["step"].tolist()
    assert [e.value for e in losses] == pytest.approx(steps["loss"].tolist())
    assert [e.value for e in events.Scalars("ladder/accuracy")] == pytest.approx(ladder["accuracy"].tolist())
    assert {"lr/head", "valid_loss", "macro-F1", "cache/pooled/bytes"} <= set(events.Tags()["scalars"])
    assert set(events.Tags()["images"]) == {"calibration", "confusion"}


def wandb_history(folder) -> list[dict]:
    """Rows of an offline run, read from W&B's file: LevelDB's log format of its protocol buffers."""
    import wandb
    from wandb.proto import wandb_internal_pb2

    wandb.teardown()  # its service, another process, may still be writing when `finish` has returned
    (file,) = folder.rglob("*.wandb")
    data, at, whole, rows = file.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if 32_768 - at % 32_768 < 7:  # no header fits into the rest of the block
            at += 32_768 - at % 32_768
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole, at = whole + data[at + 7 : at + 7 + size], at + 7 + size
        if kind in (1, 4):  # a full record, or the last piece of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            whole = b""
            if items := record.history.item:
                rows.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
    return rows


def test_wandb_offline_is_read_back(make, reviews, tmp_path):
    pytest.importorskip("wandb", reason="the extra kickbert[wandb] is not installed")
    learn = make(reviews)
    ladder = learn.fit_gradual(PHASES, cbs="wandb")
    rows = wandb_history(run_folder(tmp_path))
    losses = [row["step"] for row in rows if "loss" in row]
    assert losses == list(range(1, 3 * len(learn.dls.train) + 1))
    assert [r["ladder/accuracy"] for r in rows if "ladder/accuracy" in r] == pytest.approx(ladder["accuracy"].tolist())
    assert sum("confusion" in row or "confusion/_type" in row for row in rows) == 2


def test_mlflow_is_read_back(make, reviews, tmp_path):
    pytest.importorskip("mlflow", reason="the extra kickbert[track] is not installed")
    ladder = make(reviews).fit_gradual(PHASES, cbs="mlflow")
    mlflow = open_store()
    (found,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    client = mlflow.MlflowClient()
    history = client.get_metric_history(found.info.run_id, "ladder/accuracy")
    assert [m.value for m in history] == ladder["accuracy"].tolist()
    steps = [m.step for m in client.get_metric_history(found.info.run_id, "loss")]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) > 3
    assert found.data.params["task"] == "single label" and found.info.status == "FINISHED"
    assert {f.path for f in client.list_artifacts(found.info.run_id)} == {"figures", "ladder.json"}


def test_names_are_those_that_mlflow_takes():
    assert mlflow_name("mean absolute error, buckets") == "mean absolute error  buckets"
