"""Names and experiments in MLflow; runs themselves are tested with the writers."""

from types import SimpleNamespace

from kickbert.training.run_logs.mlflow_store import experiment_id, mlflow_name


def test_characters_that_mlflow_rejects_become_spaces():
    assert mlflow_name("mean absolute error, buckets") == "mean absolute error  buckets"


def test_files_of_an_experiment_are_next_to_its_database(tmp_path):
    created = []
    mlflow = SimpleNamespace(
        get_experiment_by_name=lambda name: None,
        get_tracking_uri=lambda: f"sqlite:///{tmp_path / 'mlflow.db'}",
        create_experiment=lambda name, artifact_location: created.append((name, artifact_location)),
    )
    experiment_id(mlflow, "films")
    assert created == [("films", (tmp_path / "artifacts").as_uri())]
