"""Experiment tracking and model registry in MLflow: on SQLite by default, with no server to run.

learner → parameters, ladder, scores, figures, artifact → a run → a registered model with an alias → `kickbert serve`
"""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from kickbert import __version__
from kickbert.inference.predictor import load
from kickbert.models.artifact import flat_metadata, read_artifact
from kickbert.utils.extras import require

STORE = "runs"  # the folder of runs, by default
CHAMPION = "champion"  # alias of the registered version that is served


def open_store(store: str | Path | None = None) -> Any:
    """Point MLflow's tracking and registry to a store.

    Args:
        store: a folder, in which runs are kept in SQLite; or the URI of a server; None for MLFLOW_TRACKING_URI where
            that is set, else the folder `runs`.
    Returns:
        The module `mlflow`.
    Raises:
        ImportError: MLflow is not installed.
    """
    require("mlflow", extra="track")
    import mlflow

    store = store or os.environ.get("MLFLOW_TRACKING_URI") or STORE
    if "://" not in str(store):
        folder = Path(store).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        store = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(str(store))
    mlflow.set_registry_uri(str(store))
    return mlflow


def _experiment(mlflow: Any, name: str) -> str:
    """The id of an experiment, whose files stand beside the data base where that is SQLite."""
    experiment = mlflow.get_experiment_by_name(name)
    if experiment is not None:
        return experiment.experiment_id
    uri = mlflow.get_tracking_uri()
    beside = Path(uri.removeprefix("sqlite:///")).parent / "artifacts" if uri.startswith("sqlite:///") else None
    return mlflow.create_experiment(name, artifact_location=beside.as_uri() if beside else None)


def log_run(
    learn: Any,
    name: str,
    *,
    ladder: pd.DataFrame | None = None,
    evaluation: Any = None,
    parameters: dict[str, Any] | None = None,
    figures: dict[str, Any] | None = None,
    folder: str | Path | None = None,
    alias: str | None = CHAMPION,
    store: str | Path | None = None,
) -> Any:
    """Log a training run: parameters, ladder, scores, figures, and the model, which is registered under a name.

    Args:
        learn: a trained learner.
        name: of the experiment and of the registered model.
        ladder: what `fit_gradual` returned.
        evaluation: what `kickbert.evaluate` returned of rows that no choice was made on.
        parameters: further ones to log.
        figures: matplotlib figures by name.
        folder: of an artifact that was saved (and exported) already; None to save the learner now.
        alias: that this version gets, and that another loses; None for none.
        store: as in `open_store`.
    Returns:
        MLflow's `ModelInfo`, with `run_id` and `registered_model_version`.
    Raises:
        ImportError: MLflow is not installed.
    """
    mlflow = open_store(store)
    with TemporaryDirectory() as scratch, mlflow.start_run(experiment_id=_experiment(mlflow, name)):
        artifact = read_artifact(folder or learn.save_artifact(Path(scratch) / "model", evaluation))
        mlflow.log_params(_parameters(artifact.metadata, parameters))
        for step, row in enumerate([] if ladder is None else ladder.to_dict("records")):
            mlflow.log_metrics({_metric(f"ladder {k}"): v for k, v in row.items() if _number(v)}, step=step)
        if ladder is not None:
            mlflow.log_table(ladder, "ladder.json")
        if evaluation is not None:
            scores = zip(evaluation.scores["score"], evaluation.scores["model"], strict=True)
            mlflow.log_metrics({_metric(score): value for score, value in scores if value == value})
            mlflow.log_text(evaluation.to_json(), "evaluation.json")
        for title, figure in (figures or {}).items():
            mlflow.log_figure(figure, f"figures/{title}.png")
        info = _log_model(mlflow, artifact.folder, artifact.metadata["text_col"], name)
    if alias:
        mlflow.MlflowClient().set_registered_model_alias(name, alias, info.registered_model_version)
    return info


def _log_model(mlflow: Any, folder: Path, columns: Sequence[str], name: str) -> Any:
    """The artifact as a pyfunc model that this module loads: nothing is pickled."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    return mlflow.pyfunc.log_model(
        name="model",
        loader_module="kickbert.experiments.tracking",
        data_path=str(folder),
        signature=ModelSignature(inputs=Schema([ColSpec("string", c) for c in columns])),
        pip_requirements=[f"kickbert=={__version__}"],
        registered_model_name=name,
    )


def _parameters(metadata: dict[str, Any], more: dict[str, Any] | None) -> dict[str, Any]:
    """Parameters of a run: the artifact's metadata, without the parts that it stands in, and what the caller adds."""
    return {_metric(name.rpartition(": ")[2]): value for name, value in flat_metadata(metadata).items()} | (more or {})


def _metric(name: str) -> str:
    """A name that MLflow takes: letters, digits and a few signs."""
    return "".join(c if c.isalnum() or c in "_-. /" else " " for c in name)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and value == value


def fetch(uri: str, store: str | Path | None = None) -> Path:
    """Fetch a registered model.

    Args:
        uri: `models:/name@alias` or `models:/name/version`.
        store: as in `open_store`.
    Returns:
        The folder of its artifact.
    Raises:
        ValueError: there is no such model.
    """
    mlflow = open_store(store)
    try:
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    except mlflow.exceptions.MlflowException as err:
        known = [m.name for m in mlflow.MlflowClient().search_registered_models()]
        raise ValueError(f"{uri!r} is not in {mlflow.get_tracking_uri()} ({err.message}); models are {known}") from err
    return folder / mlflow.models.Model.load(folder).flavors["python_function"]["data"]


class _Pyfunc:
    """A pyfunc model: MLflow's interface to a `Predictor`."""

    def __init__(self, folder: str):
        self.model = load(folder)

    def predict(self, model_input: pd.DataFrame, params: dict | None = None) -> pd.DataFrame:
        """Predict rows, as `Predictor.predict_df` does.

        Args:
            model_input: has the text columns of the model.
            params: arguments of `predict_df`.
        """
        return self.model.predict_df(model_input, **(params or {}))


def _load_pyfunc(folder: str) -> _Pyfunc:
    """MLflow calls this when it loads the model."""
    return _Pyfunc(folder)
