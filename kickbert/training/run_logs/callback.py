"""The callback that logs a run, and its names in `cbs`."""

import time
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        self.folder = folder
        self._reset()

    def _reset(self) -> None:
        self.step = 0
        self.active = False
        self.steps: list[tuple[Tensor, dict[str, float]]] = []  # losses and learning rates since the last epoch
        self.writers: dict[str, RunWriter] = {}
        self.end: weakref.finalize | None = None

    def __reduce__(self) -> Any:
        return partial(RunLog, *self.names, folder=self.folder), ()  # an exported learner leaves its run behind

    def close(self) -> None:
        """End the run; the next fit starts another one."""
        if self.end is not None:
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
        if self.end is None:
            self._open()

    def _open(self) -> None:
        settings = {"bs": self.dls.bs, "wd": self.learn.wd, "seed": self.learn.seed}
        if hasattr(self.dls, "target"):  # not in the DataLoaders of a DataBlock
            settings = flat_metadata(self.learn.metadata) | settings
        folder = Path(self.folder or Path(self.learn.path) / "logs") / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
        folder.mkdir(parents=True)
        for name in self.names:
            with self._may_fail(name):
                self.writers[name] = WRITERS[name](folder, settings)
        self.end = weakref.finalize(self, _close, self.writers)  # at the end of the process at the latest

    def after_batch(self):
        if self.active and self.training:
            rates = {f"lr/{group}": self.opt.hypers[number]["lr"] for number, group in self.trained}
            self.steps.append((self.loss.detach(), rates))

    def after_epoch(self):
        if self.active:
            # One transfer from the device; a solved head takes no steps.
            losses = stack([loss for loss, _ in self.steps]).tolist() if self.steps else []
            pairs = enumerate(zip(losses, self.steps, strict=True), self.step + 1)
            rows = [{"step": step, "loss": loss, **rates} for step, (loss, (_, rates)) in pairs]
            self.step += len(rows)
            rows = rows or [{"step": self.step}]
            rows[-1] |= {"phase": self.learn.phase_title, **self.recorder.computed[-1]}
            self.steps = []
            self._write(rows)

    def after_fit(self):
        if self.active:
            self.active = False
            groups = self.learn.groups
            row: dict[str, float] = {"trainable": int(groups.loc[groups["trainable"], "parameters"].sum())}
            row |= {"epochs": len(self.recorder.values), "seconds": time.time() - self.started, **self.recorder.final}
            ladder = {f"ladder/{name}": value for name, value in row.items()}
            self._write([{"step": self.step, "phase": self.learn.phase_title, **ladder}])

    def _write(self, rows: list[dict[str, Any]]) -> None:
        for name, writer in list(self.writers.items()):
            with self._may_fail(name):
                writer.write(rows)

    @contextmanager
    def _may_fail(self, name: str) -> Iterator[None]:
        """Run an action of a client; if it fails, continue training without that log."""
        try:
            with no_random():  # clients draw ids at random, which must not change training
                yield
        except Exception as err:  # whatever a client raises
            self.writers.pop(name, None)
            reason = f"{type(err).__name__}: {shorten(str(err), 160)}"
            warnings.warn(f"The {name} log stops here ({reason}). Training continues without it.", stacklevel=2)


def _close(writers: dict[str, RunWriter]) -> None:
    for writer in writers.values():
        with suppress(Exception):  # a client that has already shut down
            writer.close()


def callbacks_by_name(cbs: Any) -> list:
    """Replace the names of logs among callbacks (one or several, or None) with one `RunLog`."""
    names = [cb for cb in L(cbs) if isinstance(cb, str)]
    return [*(cb for cb in L(cbs) if not isinstance(cb, str)), *([RunLog(*names)] if names else [])]


def end_logs(cbs: Any, keep: Any = ()) -> None:
    """Close the logs among callbacks, except those in `keep`."""
    for cb in L(cbs):
        if isinstance(cb, RunLog) and cb not in L(keep):
            cb.close()
