"""The callback that logs a run, and the names that stand for it in `cbs`."""

import time
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from fastai.callback.core import Callback
from fastai.learner import Recorder
from fastai.torch_core import no_random
from fastcore.foundation import L
from torch import Tensor, stack

from kickbert.models.artifact.metadata import flat_metadata
from kickbert.training.run_logs.writers import EXTRAS, WRITERS, RunWriter
from kickbert.utils.extras import require
from kickbert.utils.messages import nearest, shorten
from kickbert.utils.processes import rank

FOLDER = "logs"  # in the learner's `path`


class RunLog(Callback):
    """Log the parameters, losses, learning rates, metrics and ladder of a run.

    All values share one step count, which continues across phases and fits until `close`. Rows are written once per
    epoch. A client that fails is dropped with a warning, and training continues.

    Args:
        names: one or several of "tensorboard", "wandb", "mlflow" and "csv".
        folder: parent of the folder of each run; None for `logs` in the learner's `path`.
    Raises:
        ValueError: unknown name.
        ImportError: the client is not installed.
    """

    order = Recorder.order + 1

    def __init__(self, *names: str, folder: str | Path | None = None):
        super().__init__()
        for name in names:
            if name not in WRITERS:
                raise ValueError(
                    f"cbs={name!r} is neither a fastai callback nor one of {list(WRITERS)}{nearest(name, WRITERS)}"
                )
            if name in EXTRAS:
                require(name, EXTRAS[name])
        self.names = tuple(dict.fromkeys(names))
        self.home = folder
        self._reset()

    def _reset(self) -> None:
        self.folder: Path | None = None
        self.step = 0
        self.active = False
        self.steps: list[tuple[Tensor, dict[str, float]]] = []  # losses and learning rates since the last epoch
        self.writers: dict[str, RunWriter] = {}

    def __getstate__(self) -> dict:
        return {"names": self.names, "home": self.home}  # an exported learner leaves its run behind

    def __setstate__(self, state: dict) -> None:
        self.__init__(*state["names"], folder=state["home"])  # type: ignore[misc]

    def close(self) -> None:
        """End the run; the next fit starts another one."""
        if self.folder is not None:
            self.end()
        self._reset()

    # fastai calls before_fit and after_epoch for validation alone, too; before_train means training.

    def before_fit(self):
        self.active = False

    def before_train(self):
        if self.active or hasattr(self.learn, "lr_finder") or rank():
            return
        self.active = True
        self.started = time.time()
        groups = self.learn.groups
        self.trained = list(groups.loc[groups["trainable"], "group"].items())
        if self.folder is None:
            self._open()

    def _open(self) -> None:
        settings = {"bs": self.dls.bs, "wd": self.learn.wd, "seed": self.learn.seed}
        if hasattr(self.dls, "target"):  # not in the DataLoaders of a DataBlock
            settings = flat_metadata(self.learn.metadata) | settings
        folder = Path(self.home or Path(self.learn.path) / FOLDER) / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
        folder.mkdir(parents=True)
        self.folder = folder
        for name in self.names:
            self._try(name, partial(self._start, name, folder, settings))
        self.end = weakref.finalize(self, _close, self.writers)  # at the end of the process at the latest

    def _start(self, name: str, folder: Path, settings: dict[str, Any]) -> None:
        self.writers[name] = WRITERS[name](folder, settings)

    def after_batch(self):
        if self.active and self.training:
            rates = {f"lr/{group}": self.opt.hypers[number]["lr"] for number, group in self.trained}
            self.steps.append((self.loss.detach(), rates))

    def after_epoch(self):
        if self.active:
            self._write_steps()
            self._write("epochs", [{"phase": self.learn.phase_title, **self.recorder.computed[-1]}])

    def after_fit(self):
        if not self.active:
            return
        self.active = False
        groups = self.learn.groups
        row = {"phase": self.learn.phase_title}
        row["trainable"] = int(groups.loc[groups["trainable"], "parameters"].sum())
        row["epochs"] = len(self.recorder.values)
        row["seconds"] = time.time() - self.started
        self._write("ladder", [{**row, **self.recorder.final}])

    def _write_steps(self) -> None:
        losses = stack([loss for loss, _ in self.steps]).tolist()  # one transfer from the device
        rows = [{"loss": loss, **rates} for loss, (_, rates) in zip(losses, self.steps, strict=True)]
        self.steps = []
        self._write("steps", [{"step": self.step + number, **row} for number, row in enumerate(rows, 1)])
        self.step += len(rows)

    def _write(self, table: str, rows: list[dict[str, Any]]) -> None:
        rows = [{"step": self.step, **row} for row in rows]
        for name, writer in list(self.writers.items()):
            self._try(name, partial(writer.write, table, rows))

    def _try(self, name: str, action: Callable[[], None]) -> None:
        """Continue training without a log whose client fails."""
        try:
            with no_random():  # clients draw ids at random, which must not change training
                action()
        except Exception as err:  # whatever a client raises
            self.writers.pop(name, None)
            reason = f"{type(err).__name__}: {shorten(str(err), 160)}"
            warnings.warn(f"The {name} log stops here ({reason}). Training continues without it.", stacklevel=2)


def _close(writers: dict[str, RunWriter]) -> None:
    for writer in writers.values():
        with suppress(Exception):  # a client that has already shut down
            writer.close()


def callbacks_by_name(cbs: Any) -> list:
    """Replace the names of logs among callbacks with one `RunLog`.

    Args:
        cbs: callbacks, names, or one of either; None for none.
    """
    names = [cb for cb in L(cbs) if isinstance(cb, str)]
    return [*(cb for cb in L(cbs) if not isinstance(cb, str)), *([RunLog(*names)] if names else [])]


def end_logs(cbs: Any, keep: Any = ()) -> None:
    """Close the logs among callbacks, except those in `keep`."""
    for cb in L(cbs):
        if isinstance(cb, RunLog) and cb not in L(keep):
            cb.close()
