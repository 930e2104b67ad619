"""Writers of a run log, thin ones over the official clients: CSV files, TensorBoard, Weights & Biases, MLflow."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt

from kickbert.utils.atomic_files import replacing
from kickbert.utils.extras import require
from kickbert.utils.messages import shorten

STORE = "runs"  # MLflow's folder, by default
Rows = Sequence[dict[str, Any]]


def _numbers(table: str, row: dict[str, Any]) -> dict[str, float]:
    """The values of a row that a tracker can draw, by tag."""
    prefix = "ladder/" if table == "ladder" else ""
    numbers = {k: v for k, v in row.items() if k not in ("step", "time") and isinstance(v, (int, float))}
    return {prefix + name: float(value) for name, value in numbers.items() if value == value}


class RunWriter:
    """Writes one run. What a method does not override is nothing to be done.

    Args:
        folder: of the run, which bears its name.
        parameters: of the training, by name.
    """

    def __init__(self, folder: Path, parameters: dict[str, Any]):
        self.folder = folder

    def write(self, table: str, rows: Rows, start: int) -> None:
        """Write a table's rows from number `start` on; those before it were written.

        Args:
            table: "steps", "epochs" or "ladder".
            rows: all rows so far, each with `step` and `time` (seconds since 1970).
        """

    def figure(self, file: Path, step: int) -> None:
        """Add a PNG figure, which stands in the folder."""

    def close(self, ok: bool) -> None:
        """End the run, which was trained to its end or not."""


class CsvWriter(RunWriter):
    """A CSV file for each table and `parameters.json`, in the folder."""

    def __init__(self, folder: Path, parameters: dict[str, Any]):
        super().__init__(folder, parameters)
        with replacing(folder / "parameters.json") as part:
            part.write_text(json.dumps(parameters, default=str, indent=1), encoding="utf-8")

    def write(self, table: str, rows: Rows, start: int) -> None:
        with replacing(self.folder / f"{table}.csv") as part:
            pd.DataFrame(rows).to_csv(part, index=False)  # all of them: later ones may have further columns


class TensorBoardWriter(RunWriter):
    """TensorBoard's event files, by torch's own writer."""

    def __init__(self, folder: Path, parameters: dict[str, Any]):
        from torch.utils.tensorboard import SummaryWriter

        self.client = SummaryWriter(str(folder))
        self.client.add_text("parameters", _markdown([{"name": k, "value": v} for k, v in parameters.items()]))

    def write(self, table: str, rows: Rows, start: int) -> None:
        for row in rows[start:]:
            for tag, value in _numbers(table, row).items():
                self.client.add_scalar(tag, value, row["step"], walltime=row["time"])
        if table == "ladder":
            self.client.add_text("ladder", _markdown(rows), rows[-1]["step"])
        self.client.flush()

    def figure(self, file: Path, step: int) -> None:
        self.client.add_image(file.stem, plt.imread(file)[..., :3], step, dataformats="HWC")

    def close(self, ok: bool) -> None:
        self.client.close()


def _markdown(rows: Rows) -> str:
    """A table that TensorBoard shows."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(v) for v in row.values()] for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


class WandbWriter(RunWriter):
    """A run of Weights & Biases; WANDB_PROJECT and WANDB_MODE are heeded."""

    def __init__(self, folder: Path, parameters: dict[str, Any]):
        import wandb

        self.wandb = wandb
        self.client = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "kickbert"),
            name=folder.name,
            dir=str(folder),
            config=parameters,
            reinit="create_new",  # other runs of this process are left alone
            settings=wandb.Settings(init_timeout=60, console="off", quiet=True),
        )
        self.client.define_metric("*", step_metric="step")

    def write(self, table: str, rows: Rows, start: int) -> None:
        for row in rows[start:]:
            self.client.log({"step": row["step"], **_numbers(table, row)})
        if table == "ladder":
            self.client.log({"ladder": self.wandb.Table(dataframe=pd.DataFrame(rows)), "step": rows[-1]["step"]})

    def figure(self, file: Path, step: int) -> None:
        self.client.log({file.stem: self.wandb.Image(str(file)), "step": step})

    def close(self, ok: bool) -> None:
        self.client.finish(exit_code=0 if ok else 1)


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


def experiment_id(mlflow: Any, name: str) -> str:
    """The id of an experiment, whose files stand beside the data base where that is SQLite."""
    experiment = mlflow.get_experiment_by_name(name)
    if experiment is not None:
        return experiment.experiment_id
    uri = mlflow.get_tracking_uri()
    beside = Path(uri.removeprefix("sqlite:///")).parent / "artifacts" if uri.startswith("sqlite:///") else None
    return mlflow.create_experiment(name, artifact_location=beside.as_uri() if beside else None)


def mlflow_name(name: str) -> str:
    """A name that MLflow takes: letters, digits and a few signs.

    >>> mlflow_name("mean absolute error, buckets")
    'mean absolute error  buckets'
    """
    return "".join(c if c.isalnum() or c in "_-. /" else " " for c in name)


class MlflowWriter(RunWriter):
    """A run of MLflow, in the store of `experiments.log_run`; MLFLOW_EXPERIMENT_NAME is heeded."""

    BATCH = {"metrics": 1000, "params": 100}  # most that MLflow takes in one call

    def __init__(self, folder: Path, parameters: dict[str, Any]):
        from mlflow.entities import Param

        with _impatient():
            mlflow = open_store()
            self.client = mlflow.MlflowClient()
            experiment = experiment_id(mlflow, os.environ.get("MLFLOW_EXPERIMENT_NAME", "kickbert"))
            self.run = self.client.create_run(experiment, run_name=folder.name).info.run_id
            self._log("params", [Param(mlflow_name(k), shorten(str(v), 500)) for k, v in parameters.items()])

    def _log(self, kind: str, values: list) -> None:
        for at in range(0, len(values), self.BATCH[kind]):
            self.client.log_batch(self.run, **{kind: values[at : at + self.BATCH[kind]]})

    def write(self, table: str, rows: Rows, start: int) -> None:
        from mlflow.entities import Metric

        with _impatient():
            self._log("metrics", [
                Metric(mlflow_name(tag), value, int(1000 * row["time"]), row["step"])
                for row in rows[start:] for tag, value in _numbers(table, row).items()
            ])  # fmt: skip
            if table == "ladder":
                self.client.log_text(self.run, pd.DataFrame(rows).to_json(orient="split"), "ladder.json")

    def figure(self, file: Path, step: int) -> None:
        with _impatient():
            self.client.log_artifact(self.run, str(file), "figures")

    def close(self, ok: bool) -> None:
        with _impatient():
            self.client.set_terminated(self.run, "FINISHED" if ok else "FAILED")


@contextmanager
def _impatient() -> Iterator[None]:
    """Let MLflow give a server up after seconds; by default it tries for minutes, and training would wait."""
    ours = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
    ours = {name: value for name, value in ours.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


WRITERS = {"tensorboard": TensorBoardWriter, "wandb": WandbWriter, "mlflow": MlflowWriter, "csv": CsvWriter}
EXTRAS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "track"}
