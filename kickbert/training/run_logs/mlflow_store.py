"""The store of MLflow runs: a local folder by default, or a tracking server."""

import os
from pathlib import Path
from typing import Any

from kickbert.utils.extras import require

STORE = "runs"  # MLflow's default folder


def open_store(store: str | Path | None = None) -> Any:
    """Point MLflow's tracking and registry to a store.

    Args:
        store: a folder for the runs in SQLite, or the URI of a server; None for MLFLOW_TRACKING_URI, or else the folder
            `runs`.
    Returns:
        The module `mlflow`.
    Raises:
        ImportError: MLflow is not installed.
    """
    require("mlflow", extra="track")
    import mlflow

    store = store or os.environ.get("MLFLOW_TRACKING_URI") or STORE
    if "://" not in str(store):
        folder = Path(store).expanduser().resolve()
        folder.mkdir(parents=True, exist_ok=True)
        store = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(str(store))
    mlflow.set_registry_uri(str(store))
    return mlflow


def experiment_id(mlflow: Any, name: str) -> str:
    """Return the id of an experiment, created if needed; with SQLite, its files are next to the database."""
    if experiment := mlflow.get_experiment_by_name(name):
        return experiment.experiment_id
    uri = mlflow.get_tracking_uri()
    files = Path(uri.removeprefix("sqlite:///")).parent / "artifacts"
    return mlflow.create_experiment(name, artifact_location=files.as_uri() if uri.startswith("sqlite:///") else None)


def mlflow_name(name: str) -> str:
    """Replace characters that MLflow does not accept in names.

    >>> mlflow_name("mean absolute error, buckets")
    'mean absolute error  buckets'
    """
    return "".join(c if c.isalnum() or c in "_-. /" else " " for c in name)
