"""Run logs by name: the course of a training in TensorBoard, Weights & Biases, MLflow or CSV files.

    cbs=["tensorboard", "csv"] → `RunLog`, which buffers → once an epoch a writer for each name → event files, tables

All values have one global step, which goes on across phases and fits. A writer takes rows of three tables: `steps`
(loss, learning rate of each group that trains), `epochs` (losses, metrics, the cache) and `ladder` (a row per fit).
Nothing is logged unless it is asked for, and no failure of a log ends the training.
"""

import json
import math
import time
import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.callback.core import Callback
from fastai.learner import Recorder
from fastai.torch_core import no_random, rank_distrib
from fastcore.foundation import L
from matplotlib import pyplot as plt
from torch import Tensor, cat, stack

from kickbert.evaluation.plots import plot_calibration, plot_confusion, plot_values
from kickbert.evaluation.predictions import Predictions
from kickbert.models.artifact import flat_metadata
from kickbert.targets.kinds import MULTI, REGRESSION
from kickbert.utils.extras import require
from kickbert.utils.log_writers import EXTRAS, WRITERS, CsvWriter, RunWriter
from kickbert.utils.messages import nearest, shorten

TABLES = ("steps", "epochs", "ladder")
FOLDER = "logs"  # in the learner's `path`


class RunLog(Callback):
    """Log a run: losses, learning rates, metrics, the ladder, the cache, and figures of the validation rows.

    It is one run until it is closed, whatever fits it goes through; then the next fit begins another. A log that was
    given to a fit by its name is closed with it, all others when they are gone or the process ends.

    Args:
        names: "tensorboard", "wandb", "mlflow" or "csv", one or several.
        folder: in which the folder of each run is made; None for `logs` in the learner's `path`.
    Raises:
        ValueError: an unknown name; the nearest is offered.
        ImportError: its client is not installed.
    """

    order = Recorder.order + 1

    def __init__(self, *names: str, folder: str | Path | None = None):
        super().__init__()
        for name in names:
            if name not in WRITERS:
                known = f"{list(WRITERS)}, nor a fastai callback{nearest(name, WRITERS)}"
                raise ValueError(f"cbs={name!r} is not one of {known}")
            if name in EXTRAS:
                require(name, EXTRAS[name])
        self.names, self.home, self.folder = tuple(dict.fromkeys(names)), folder, None
        self._begin()

    def _begin(self) -> None:
        self.step, self.active, self.writers, self.buffer = 0, False, {}, []
        self.tables: dict[str, list[dict]] = {table: [] for table in TABLES}
        self.sent: dict[str, int] = dict.fromkeys(TABLES, 0)
        self.state = {"ok": True}

    def __getstate__(self) -> dict:
        return {"names": self.names, "home": self.home}  # an exported learner leaves the run behind

    def __setstate__(self, state: dict) -> None:
        self.__init__(*state["names"], folder=state["home"])

    def close(self) -> None:
        """End the run."""
        if self.folder is not None:
            self.end()
        self.folder = None
        self._begin()

    # fastai calls before_fit and after_epoch for validation alone too: what begins with before_train is training.

    def before_fit(self):
        self.active = False

    def before_train(self):
        if self.active or hasattr(self.learn, "lr_finder") or rank_distrib():
            return
        self.active, self.started, self.state["ok"] = True, time.time(), False
        self.trained = [(i, g) for i, (g, on) in enumerate(self.learn.groups[["group", "trainable"]].to_numpy()) if on]
        if self.folder is None:
            self._open()

    def _open(self) -> None:
        target = getattr(self.dls, "target", None)  # none where a DataBlock made the batches
        self.settings = flat_metadata(self.learn.metadata) if target is not None else {}
        self.settings |= {"bs": self.dls.bs, "wd": self.learn.wd, "seed": self.learn.seed}
        if self.learn.phase_title:  # a resumed run goes on at the step where it was broken off
            self.step = sum(row["epochs"] * math.ceil(row["rows"] / self.dls.bs) for row in self.learn.ladder)
        self.folder = _new_folder(Path(self.home or Path(self.learn.path) / FOLDER))
        for name in self.names:
            with self._kept(name):
                self.writers[name] = WRITERS[name](self.folder, self.settings)
        self.end = weakref.finalize(self, _close, self.writers, self.state)

    def after_batch(self):
        if self.active and self.training:
            self.step += 1
            rates = self.opt.hypers
            self.buffer.append((self.loss.detach(), time.time(), [rates[i]["lr"] for i, _ in self.trained]))

    def before_validate(self):
        self.outputs: list[tuple[Tensor, Tensor]] = []  # raw outputs and codes of the validation rows

    def after_pred(self):
        if self.active and not self.training:
            self.outputs.append((self.pred.detach(), self.learn.y))

    def after_epoch(self):
        if not self.active:
            return
        self._take_steps()
        row = {"step": self.step, "time": time.time(), "epoch": len(self.tables["epochs"]) + 1}
        row |= {"phase": self.learn.phase_title}
        row |= {name: float(value) for name, value in self.recorder.computed[-1].items()}
        self.tables["epochs"].append(row | self._cache())
        self._flush()

    def after_fit(self):
        if not self.active:
            return
        self.active, self.state["ok"] = False, True
        self._take_steps()
        table = self.learn.groups
        row = {"step": self.step, "time": time.time(), "phase": self.learn.phase_title}
        row["trainable"] = int(table.loc[table["trainable"], "parameters"].sum())
        row |= {"epochs": len(self.recorder.values), "seconds": time.time() - self.started}
        self.tables["ladder"].append(row | {name: float(value) for name, value in self.recorder.final.items()})
        self._flush()
        self._draw()

    def _take_steps(self) -> None:
        """Turn what was buffered into rows: one transfer from the device for all losses."""
        losses = stack([loss for loss, *_ in self.buffer]).tolist() if self.buffer else []
        first = self.step - len(losses) + 1
        for step, loss, (_, at, rates) in zip(range(first, self.step + 1), losses, self.buffer, strict=True):
            named = {f"lr/{group}": rate for (_, group), rate in zip(self.trained, rates, strict=True)}
            self.tables["steps"].append({"step": step, "time": at, "loss": loss} | named)
        self.buffer = []

    def _cache(self) -> dict[str, float]:
        """What the cache holds, by depth."""
        if not hasattr(self.learn, "cache"):
            return {}
        table = self.learn.cache.info().groupby("depth").sum(numeric_only=True)
        depths = {depth: depth if depth == "pooled" else f"depth {depth}" for depth in table.index}
        return {f"cache/{depths[depth]}/{name}": float(v) for depth, row in table.iterrows() for name, v in row.items()}

    def _flush(self) -> None:
        """Hand each writer the rows that are new."""
        for name, writer in list(self.writers.items()):
            with self._kept(name):
                self._hand_over(writer, self.sent)
        self.sent = {table: len(rows) for table, rows in self.tables.items()}

    def _hand_over(self, writer: RunWriter, sent: dict[str, int]) -> None:
        for table, rows in self.tables.items():
            if len(rows) > sent[table]:
                writer.write(table, rows, sent[table])

    def _draw(self) -> None:
        """Figures of the validation rows, as the last epoch predicted them."""
        for file in _figures(self.learn, self.outputs, self.folder / "figures"):
            for name, writer in list(self.writers.items()):
                with self._kept(name):
                    writer.figure(file, self.step)

    @contextmanager
    def _kept(self, name: str) -> Iterator[None]:
        """Let training go on where a log fails, say so once, and keep the run in CSV files from there on."""
        try:
            with no_random():  # clients draw ids at random, which training must not notice
                yield
        except Exception as err:  # whatever a client raises
            self.writers.pop(name, None)
            reason = f"{type(err).__name__}: {shorten(str(err), 160)}"
            if name == "csv":
                warnings.warn(f"the log in {self.folder} ends here ({reason}); training goes on", stacklevel=2)
                return
            command = f"kickbert.training.upload_run({str(self.folder)!r}, {name!r})"
            warnings.warn(
                f"{name} cannot be written to ({reason}); training goes on, and the log is kept: {command} "
                "sends it later",
                stacklevel=2,
            )
            if "csv" not in (*self.names, *self.writers):
                with self._kept("csv"):
                    self.writers["csv"] = CsvWriter(self.folder, self.settings)
                    self._hand_over(self.writers["csv"], dict.fromkeys(TABLES, 0))


def _close(writers: dict[str, RunWriter], state: dict) -> None:
    """End a run: its log is gone, or the process ends."""
    for writer in writers.values():
        with suppress(Exception):  # a client that has shut down already
            writer.close(state["ok"])


def _new_folder(home: Path) -> Path:
    """A folder of this second's name, or of that and a number: two runs never share one."""
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    for number in count(1):
        folder = home / (name if number == 1 else f"{name}_{number}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder


def _figures(learn: Any, outputs: Sequence[tuple[Tensor, Tensor]], folder: Path) -> Iterator[Path]:
    """Draw what there is to draw of a task; a target or a loss that is not kickbert's has nothing."""
    target, loss = getattr(learn.dls, "target", None), learn.loss_func
    if target is None or not outputs or not hasattr(loss, "decodes"):
        return
    activations = [loss.activation(raw.as_subclass(Tensor)) for raw, _ in outputs]
    probs, y_pred = cat(activations).cpu().double().numpy(), cat([loss.decodes(a) for a in activations]).cpu().numpy()
    y_true = cat([y.as_subclass(Tensor) for _, y in outputs]).cpu().numpy()
    if not np.isfinite(probs).all():
        return
    predictions = Predictions(target, probs, y_pred, y_true)
    plots = {"values": plot_values} if target.task == REGRESSION else {"calibration": plot_calibration}
    if target.task not in (MULTI, REGRESSION):
        plots["confusion"] = plot_confusion
    folder.mkdir(exist_ok=True)
    for name, plot in plots.items():
        figure, file = plot(predictions), folder / f"{name}.png"
        figure.savefig(file)
        plt.close(figure)
        yield file


def callbacks_by_name(cbs: Any) -> list:
    """Callbacks in which the names of logs have become one `RunLog`.

    Args:
        cbs: callbacks, names, or one of either; None for none.
    """
    names = [cb for cb in L(cbs) if isinstance(cb, str)]
    return [*(cb for cb in L(cbs) if not isinstance(cb, str)), *([RunLog(*names)] if names else [])]


def end_logs(cbs: Any, keep: Any = ()) -> None:
    """Close the logs among callbacks, but for some that are used further."""
    for cb in L(cbs):
        if isinstance(cb, RunLog) and cb not in L(keep):
            cb.close()


def upload_run(folder: str | Path, name: str) -> None:
    """Send a run that was logged in CSV files, such as one whose server did not answer, to a tracker.

    Args:
        folder: of the run.
        name: "mlflow", "wandb" or "tensorboard".
    Raises:
        ValueError: there is no run in the folder, or an unknown name.
    """
    RunLog(name)  # says what is wrong with the name
    folder = Path(folder)
    if not (folder / "parameters.json").exists():
        raise ValueError(f"{folder} has no parameters.json, so no run was logged there; give the folder of a run")
    writer = WRITERS[name](folder, json.loads((folder / "parameters.json").read_text(encoding="utf-8")))
    step = 0
    for table in TABLES:
        if (file := folder / f"{table}.csv").exists():
            rows = [{k: v for k, v in row.items() if v == v} for row in pd.read_csv(file).to_dict("records")]
            writer.write(table, rows, 0)
            step = rows[-1]["step"]
    for file in sorted((folder / "figures").glob("*.png")):
        writer.figure(file, step)
    writer.close(True)
