"""Writers of a run log, one per client: CSV files, TensorBoard, Weights & Biases, MLflow.

A writer starts with the run's folder and its parameters. `write` adds rows, each with a `step`, to one of the tables
"steps", "epochs" and "ladder".
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

    def write(self, table: str, rows: Rows) -> None:
        """Add rows to a table."""

    def close(self) -> None:
        """End the run."""


def _numbers(table: str, row: dict[str, Any]) -> dict[str, float]:
    """The numbers of a row by tag, without NaN."""
    prefix = "ladder/" if table == "ladder" else ""
    numbers = {name: float(v) for name, v in row.items() if name != "step" and isinstance(v, (int, float))}
    return {prefix + name: value for name, value in numbers.items() if value == value}


class CsvWriter:
    """One CSV file per table, and `parameters.json`."""

    def __init__(self, folder: Path, parameters: dict[str, Any]):
        self.folder = folder
        self.tables: dict[str, Rows] = {"steps": [], "epochs": [], "ladder": []}
        (folder / "parameters.json").write_text(json.dumps(parameters, default=str, indent=1), encoding="utf-8")

    def write(self, table: str, rows: Rows) -> None:
        self.tables[table] += rows
        pd.DataFrame(self.tables[table]).to_csv(self.folder / f"{table}.csv", index=False)  # later rows may add columns

    def close(self) -> None:
        """Do nothing: every table is complete."""


class TensorBoardWriter:
    """TensorBoard's event files."""

    def __init__(self, folder: Path, parameters: dict[str, Any]):
        from torch.utils.tensorboard import SummaryWriter

        self.client = SummaryWriter(str(folder))
        self.client.add_text("parameters", "\n".join(f"- {name}: {value}" for name, value in parameters.items()))
        self.close = self.client.close

    def write(self, table: str, rows: Rows) -> None:
        for row in rows:
            for tag, value in _numbers(table, row).items():
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

    def write(self, table: str, rows: Rows) -> None:
        for row in rows:
            self.client.log({"step": row["step"], **_numbers(table, row)})


class MlflowWriter:
    """An MLflow run; it follows MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME."""

    MAX_METRICS = 1000  # per call of MLflow

    def __init__(self, folder: Path, parameters: dict[str, Any]):
        mlflow = open_store()
        experiment = experiment_id(mlflow, os.environ.get("MLFLOW_EXPERIMENT_NAME", "kickbert"))
        self.client = mlflow.MlflowClient()
        self.run = self.client.create_run(experiment, run_name=folder.name).info.run_id
        for name, value in parameters.items():
            self.client.log_param(self.run, mlflow_name(name), str(value)[:500])

    def write(self, table: str, rows: Rows) -> None:
        from mlflow.entities import Metric

        numbers = [(tag, value, row["step"]) for row in rows for tag, value in _numbers(table, row).items()]
        now = int(1000 * time.time())
        metrics = [Metric(mlflow_name(tag), value, now, step) for tag, value, step in numbers]
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
