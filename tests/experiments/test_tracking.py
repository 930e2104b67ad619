"""Runs and models in MLflow on SQLite, with no server; and the registered champion served over HTTP."""

import pandas as pd
import pytest

import kickbert

pytest.importorskip("mlflow", reason="the extra kickbert[track] is not installed")
from kickbert.experiments import tracking


@pytest.fixture
def run(make, reviews, tmp_path):
    learn = make(reviews)
    ladder = learn.fit_gradual()
    found = kickbert.evaluate(learn, reviews, rounds=2)
    figures = {"ladder": kickbert.experiments.plot_ladder(ladder)}
    how = {"ladder": ladder, "evaluation": found, "figures": figures, "parameters": {"seed": 42}}
    return learn, tracking.log_run(learn, "films", store=tmp_path / "runs", **how)


def test_a_run_holds_what_was_done(run, reviews, tmp_path):
    import mlflow

    learn, info = run
    client = mlflow.MlflowClient()
    kept = client.get_run(info.run_id).data
    assert kept.params["pooling"] == "cls" and kept.params["seed"] == "42" and kept.params["task"] == "single label"
    assert {"accuracy", "MCC", "ladder accuracy"} <= set(kept.metrics)
    assert {f.path for f in client.list_artifacts(info.run_id)} >= {"ladder.json", "evaluation.json", "figures"}
    assert client.get_model_version_by_alias("films", "champion").version == 1
    assert (tmp_path / "runs" / "mlflow.db").exists()

    loaded = mlflow.pyfunc.load_model("models:/films@champion")
    said = loaded.predict(reviews[["text"]].head(5))
    pd.testing.assert_frame_equal(said, learn.predict_df(reviews.head(5)), atol=0.02, check_dtype=False)
    folder = tracking.fetch("models:/films@champion", tmp_path / "runs")
    assert not list(folder.parent.parent.rglob("*.pkl"))
    assert kickbert.load(folder).labels == ["bad", "good"]


def test_a_further_version_takes_the_alias(run, make, reviews, tmp_path):
    import mlflow

    learn, _ = run
    folder = learn.save_artifact(tmp_path / "k")
    tracking.log_run(learn, "films", folder=folder, store=tmp_path / "runs")
    assert mlflow.MlflowClient().get_model_version_by_alias("films", "champion").version == 2


def test_what_is_not_there(run, tmp_path):
    with pytest.raises(ValueError, match=r"'models:/none@champion' is not in sqlite:.*models are \['films'\]"):
        tracking.fetch("models:/none@champion", tmp_path / "runs")


def test_the_champion_is_served(run, tmp_path):
    pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")
    from serving import Server

    server = Server("models:/films@champion", "--store", tmp_path / "runs")
    try:
        found = server.client.post("/predict", json={"texts": "a warm film"}).json()
        assert found["predictions"][0]["label"] in ("good", "bad")
    finally:
        server.stop()
