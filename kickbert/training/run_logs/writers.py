"""Writers of a run log, one per client: a CSV file, TensorBoard, Weights & Biases, MLflow.

A writer starts with the run's folder and its parameters, and adds rows of values by tag, each with a `step`.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from kickbert.training.run_logs.mlflow_store import experiment_id, mlflow_name, open_store

Rows = list[dict[str, Any]]


class RunWriter(Protocol):
    """The methods of each writer."""

    def write(self, rows: Rows) -> None:
        """Add rows."""

    def close(self) -> None:
        """End the run."""


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    """The numbers of a row by tag, without the step and NaN."""
    numbers = {tag: float(v) for tag, v in row.items() if tag != "step" and isinstance(v, (int, float))}
    return {tag: value for tag, value in numbers.items() if value == value}


class CsvWriter:
    """`log.csv` and `parameters.json`."""

    def __init__(self, folder: Path, parameters: dict[str, Any]):
        self.file = folder / "log.csv"
        self.rows: Rows = []
        (folder / "parameters.json").write_text(json.dumps(parameters, default=str, indent=1), encoding="utf-8")

    def write(self, rows: Rows) -> None:
        self.rows += rows
        pd.DataFrame(self.rows).to_csv(self.file, index=False)  # later rows may add columns

    def close(self) -> None:
        """Do nothing: the file is complete."""


class TensorBoardWriter:
    """TensorBoard's event files."""

    def __init__(self, folder: Path, parameters: dict[str, Any]):
        from torch.utils.tensorboard import SummaryWriter

        self.client = SummaryWriter(str(folder))
        self.client.add_text("parameters", "\n".join(f"- {name}: {value}" for name, value in parameters.items()))
        self.close = self.client.close

    def write(self, rows: Rows) -> None:
        for row in rows:
            for tag, value in _numbers(row).items():
                self.client.add_scalar(tag, value, row["step"])
        self.client.flush()


class WandbWriter:
    """A run of Weights & Biases; it follows WANDB_PROJECT and WANDB_MODE."""

    def __init__(self, folder: Path, parameters: dict[str, Any]):
        import wandb

        self.client = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "kickbert"),
            name=folder.name,
            dir=str(folder),
            config=parameters,
            reinit="create_new",  # leaves other runs of this process alone
            settings=wandb.Settings(init_timeout=60, console="off", quiet=True),
        )
        self.client.define_metric("*", step_metric="step")
        self.close = self.client.finish

    def write(self, rows: Rows) -> None:
        for row in rows:
            self.client.log({"step": row["step"], **_numbers(row)})


class MlflowWriter:
    """An MLflow run; it follows MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME."""

    MAX_METRICS = 1000  # per call of MLflow

    def __init__(self, folder: Path, parameters: dict[str, Any]):
        mlflow = open_store()
        experiment = experiment_id(mlflow, os.environ.get("MLFLOW_EXPERIMENT_NAME", "kickbert"))
        self.client = mlflow.MlflowClient()
        self.run = self.client.create_run(experiment, run_name=folder.name).info.run_id
        for name, value in parameters.items():
            self.client.log_param(self.run, mlflow_name(name), value)

    def write(self, rows: Rows) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(mlflow_name(tag), v, now, row["step"]) for row in rows for tag, v in _numbers(row).items()]
        for start in range(0, len(metrics), self.MAX_METRICS):
            self.client.log_batch(self.run, metrics=metrics[start : start + self.MAX_METRICS])

    def close(self) -> None:
        self.client.set_terminated(self.run)


WRITERS: dict[str, Callable[[Path, dict[str, Any]], RunWriter]] = {
    "tensorboard": TensorBoardWriter,
    "wandb": WandbWriter,
    "mlflow": MlflowWriter,
    "csv": CsvWriter,
}
EXTRAS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "track"}
