"""Experiment tracking and model registry in MLflow, with SQLite by default and no server.

learner → parameters, ladder, scores, figures, artifact → a run → a registered model with an alias → `kickbert serve`
"""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from kickbert import __version__
from kickbert.inference.predictor import load
from kickbert.models.artifact.metadata import flat_metadata
from kickbert.models.artifact.reading import Artifact, read_artifact
from kickbert.training.run_logs.mlflow_store import experiment_id, mlflow_name, open_store

CHAMPION = "champion"  # alias of the version to serve


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
    """Log a training run (parameters, ladder, scores, figures) and register its model.

    Args:
        learn: a trained learner.
        name: name of the experiment and of the registered model.
        ladder: table returned by `fit_gradual`.
        evaluation: result of `kickbert.evaluate` on test rows that were not used for any choice.
        parameters: additional parameters to log.
        figures: matplotlib figures by name.
        folder: folder of a saved (and possibly exported) artifact; None to save the learner now.
        alias: alias to move to the new version; None for no alias.
        store: see `open_store`.
    Returns:
        MLflow's `ModelInfo`, with `run_id` and `registered_model_version`.
    Raises:
        ImportError: MLflow is not installed.
    """
    mlflow = open_store(store)
    with TemporaryDirectory() as scratch, mlflow.start_run(experiment_id=experiment_id(mlflow, name)):
        artifact = read_artifact(folder or learn.save_artifact(Path(scratch) / "model", evaluation))
        mlflow.log_params(_parameters(artifact.metadata, parameters))
        for step, row in enumerate([] if ladder is None else ladder.to_dict("records")):
            mlflow.log_metrics({mlflow_name(f"ladder {k}"): v for k, v in row.items() if _number(v)}, step=step)
        if ladder is not None:
            mlflow.log_table(ladder, "ladder.json")
        if evaluation is not None:
            scores = zip(evaluation.scores["score"], evaluation.scores["model"], strict=True)
            mlflow.log_metrics({mlflow_name(score): value for score, value in scores if value == value})
            mlflow.log_text(evaluation.to_json(), "evaluation.json")
        for title, figure in (figures or {}).items():
            mlflow.log_figure(figure, f"figures/{title}.png")
        info = _log_model(mlflow, artifact, name)
    if alias:
        mlflow.MlflowClient().set_registered_model_alias(name, alias, info.registered_model_version)
    return info


def _log_model(mlflow: Any, artifact: Artifact, name: str) -> Any:
    """Log the artifact as a pyfunc model, which this module loads without pickle.

    A model that reads columns beside the text has no signature: MLflow would refuse a number kept as another type.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    texts = Schema([ColSpec("string", column) for column in artifact.metadata["text_col"]])
    return mlflow.pyfunc.log_model(
        name="model",
        loader_module="kickbert.experiments.tracking",
        data_path=str(artifact.folder),
        signature=None if artifact.columns else ModelSignature(inputs=texts),
        pip_requirements=[f"kickbert=={__version__}"],
        registered_model_name=name,
    )


def _parameters(metadata: dict[str, Any], more: dict[str, Any] | None) -> dict[str, Any]:
    """Combine the metadata of the artifact with additional parameters; sections are named where names repeat."""
    flat = flat_metadata(metadata)
    short = {name: name.rpartition(": ")[2] for name in flat}
    counts = Counter(short.values())
    own = {short[name] if counts[short[name]] == 1 else name: value for name, value in flat.items()}
    return {mlflow_name(name): value for name, value in (own | (more or {})).items()}


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and value == value


def fetch(uri: str, store: str | Path | None = None) -> Path:
    """Fetch a registered model.

    Args:
        uri: `models:/name@alias` or `models:/name/version`.
        store: see `open_store`.
    Returns:
        The folder of the artifact.
    Raises:
        ValueError: the model is not registered.
    """
    mlflow = open_store(store)
    try:
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    except mlflow.exceptions.MlflowException as err:
        known = [m.name for m in mlflow.MlflowClient().search_registered_models()]
        tracking_uri = mlflow.get_tracking_uri()
        raise ValueError(f"{uri!r} not found in {tracking_uri} ({err.message}). Registered models: {known}") from err
    return folder / mlflow.models.Model.load(folder).flavors["python_function"]["data"]


class _Pyfunc:
    """A pyfunc model: MLflow's interface to a `Predictor`."""

    def __init__(self, folder: str):
        self.model = load(folder)

    def predict(self, model_input: pd.DataFrame, params: dict | None = None) -> pd.DataFrame:
        """Predict rows, as `Predictor.predict_df` does.

        Args:
            model_input: rows with the text columns of the model.
            params: arguments of `predict_df`.
        """
        return self.model.predict_df(model_input, **(params or {}))


def _load_pyfunc(folder: str) -> _Pyfunc:
    """MLflow calls this when it loads the model."""
    return _Pyfunc(folder)
