"""Runs and models in MLflow on SQLite, with no server; and the registered champion served over HTTP."""

import pandas as pd
import pytest

import kickbert

pytest.importorskip("mlflow", reason="the extra kickbert[track] is not installed")
from kickbert.experiments import tracking

pytestmark = pytest.mark.system


@pytest.fixture
def run(make, reviews, tmp_path):
    learn = make(reviews)
    ladder = learn.fit_gradual()
    evaluation = kickbert.evaluate(learn, reviews, rounds=2)
    figures = {"ladder": kickbert.experiments.plot_ladder(ladder)}
    results = {"ladder": ladder, "evaluation": evaluation, "figures": figures, "parameters": {"seed": 42}}
    return learn, tracking.log_run(learn, "films", store=tmp_path / "runs", **results)


def test_a_run_contains_parameters_scores_and_the_model(run, reviews, tmp_path):
    import mlflow

    learn, info = run
    client = mlflow.MlflowClient()
    logged = client.get_run(info.run_id).data
    assert (
        logged.params["pooling"] == "cls" and logged.params["seed"] == "42" and logged.params["task"] == "single label"
    )
    assert {"accuracy", "MCC", "expected calibration error", "ladder accuracy"} <= set(logged.metrics)
    assert {f.path for f in client.list_artifacts(info.run_id)} >= {"ladder.json", "evaluation.json", "figures"}
    assert client.get_model_version_by_alias("films", "champion").version == 1
    assert (tmp_path / "runs" / "mlflow.db").exists()

    loaded = mlflow.pyfunc.load_model("models:/films@champion")
    predicted = loaded.predict(reviews[["text"]].head(5))
    pd.testing.assert_frame_equal(predicted, learn.predict_df(reviews.head(5)), atol=0.02, check_dtype=False)
    folder = tracking.fetch("models:/films@champion", tmp_path / "runs")
    assert not list(folder.parent.parent.rglob("*.pkl"))
    assert kickbert.load(folder).labels == ["bad", "good"]


def test_a_new_version_gets_the_alias(run, make, reviews, tmp_path):
    import mlflow

    learn, _ = run
    folder = learn.save_artifact(tmp_path / "k")
    tracking.log_run(learn, "films", folder=folder, store=tmp_path / "runs")
    assert mlflow.MlflowClient().get_model_version_by_alias("films", "champion").version == 2


def test_parameters_combine_metadata_and_additional_ones():
    metadata = {"task": "single label", "encoder": {"layers": 2}, "head": {}, "tokens": {}, "data": {}, "versions": {}}
    assert tracking._parameters(metadata, {"seed": 1}) == {"task": "single label", "layers": 2, "seed": 1}
    both = tracking._parameters(metadata | {"head": {"layers": 1}}, {"rate (head)": 0.1})
    assert sorted(value for name, value in both.items() if "layers" in name) == [1, 2]
    assert both[tracking.mlflow_name("rate (head)")] == 0.1


def test_the_store_is_a_folder_or_set_by_the_environment(tmp_path, monkeypatch):
    mlflow = tracking.open_store(tmp_path / "mine")
    assert mlflow.get_tracking_uri() == f"sqlite:///{tmp_path / 'mine' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'theirs.db'}")
    assert tracking.open_store().get_tracking_uri() == f"sqlite:///{tmp_path / 'theirs.db'}"


def test_an_unknown_model_is_an_error(run, tmp_path):
    with pytest.raises(
        ValueError, match=r"'models:/none@champion' not found in sqlite:.*Registered models: \['films'\]"
    ):
        tracking.fetch("models:/none@champion", tmp_path / "runs")


def test_the_champion_is_served(run, tmp_path):
    pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")
    from helpers.serving import Server

    server = Server("models:/films@champion", "--store", tmp_path / "runs")
    try:
        response = server.client.post("/predict", json={"texts": "a warm film"}).json()
        assert response["predictions"][0]["label"] in ("good", "bad")
    finally:
        server.stop()
