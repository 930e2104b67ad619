"""fastai's table of epochs: the recorder of its rows, their lines, and progress bars."""

from typing import Any

import numpy as np
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.callback.tracker import SaveModelCallback, TrackerCallback
from fastai.learner import Recorder
from fastcore.foundation import L


class EpochRecorder(Recorder):
    """fastai's `Recorder` with a value for each name in every row: NaN if an epoch did not compute it.

    fastai omits skipped, canceled and disabled values, so that later ones appear under the wrong names. Epochs are
    counted from 1 in every table, line and file.

    Attributes:
        names: names of losses and metrics.
        computed: computed values of each epoch, by name.
        kept: number of the epoch that the model's weights are from after the fit: -1 for the last one, or the best one
            if a `SaveModelCallback` restored it.
    """

    name = "recorder"

    def before_fit(self):
        super().before_fit()
        self.names = list(self.metric_names[1 : -1 if self.add_time else None])
        self.computed: list[dict[str, Any]] = []
        self.kept = -1
        self._begin_epoch()
        self._check_monitors()

    def _check_monitors(self):
        monitors = [cb.monitor for cb in self.learn.cbs if isinstance(cb, TrackerCallback)]
        missing = [name for name in monitors if name in self._halves()[1]]
        trains = not hasattr(self.learn, "gather_preds") and not hasattr(self.learn, "lr_finder")
        if missing and trains and not len(self.dls.valid):
            raise ValueError(
                f"monitor={missing[0]!r} needs validation rows, and the learner has none. Pass valid=0.15, for "
                "example, or monitor='train_loss'"
            )

    def _begin_epoch(self):
        self.trains = False
        self.halves: tuple[list, list] = ([], [])

    def _halves(self) -> tuple[list[str], list[str]]:
        """Return the names of the training values and of the validation values."""
        training = 1 + self.train_metrics * len(self.metrics)
        return self.names[:training], self.names[training:]

    def before_train(self):
        self.trains = True
        super().before_train()

    def after_cancel_train(self):
        self.trains = True
        super().after_cancel_train()

    def after_cancel_epoch(self):
        self.trains = True

    def after_train(self):
        before = len(self.log)
        super().after_train()
        self.halves = (list(self.log[before:]), [])

    def after_validate(self):
        before = len(self.log)
        super().after_validate()
        self.halves = (self.halves[0], list(self.log[before:]))

    def after_epoch(self):
        if not self.trains:  # validation only
            return super().after_epoch()
        row = []
        for names, values in zip(self._halves(), self.halves, strict=True):
            row += values or [None] * len(names)
        self.log = L([self.epoch + 1, *row])  # counted from 1, as by the progress bar and in the ladder
        super().after_epoch()
        self.values[-1] = L(np.nan if value is None else value for value in row)
        self.computed.append({n: value for n, value in zip(self.names, row, strict=True) if value is not None})
        self._begin_epoch()

    def after_fit(self):
        for cb in self.learn.cbs:
            if isinstance(cb, SaveModelCallback) and not (cb.every_epoch or cb.at_end):
                values = [row.get(cb.monitor) for row in self.computed]
                self.kept = values.index(cb.best) if cb.best in values else -1

    @property
    def final(self) -> dict[str, Any]:
        """Losses and metrics, by name, of the model's weights after the fit."""
        return self.computed[self.kept] if self.computed else {}


def epoch_line(names: list[str], values: list, title: str = "") -> str:
    """Format one line of a training log.

    >>> epoch_line(["epoch", "train_loss", "accuracy", "time"], [1, 1.25, 0.5, "00:03"], "1/2 head")
    '1/2 head  epoch 1  train_loss 1.2500  accuracy 0.5000  00:03'
    """
    fields = [title] if title else []
    for name, value in zip(names, values, strict=False):
        if name == "epoch":
            fields.append(f"epoch {value}")
        elif name == "time":
            fields.append(str(value))
        elif value is not None:
            fields.append(f"{name} {value:.4f}")
    return "  ".join(fields)


class Progress(ProgressCallback):
    """fastai's progress bars. While `fit_gradual` runs, each epoch's line names its phase."""

    def _write_stats(self, log: list) -> None:
        if not self.learn.phase_title:
            super()._write_stats(log)
        elif log[0] != "epoch" and getattr(self, "mbar", None):  # each line already contains the header's words
            self.mbar.write(epoch_line(list(self.recorder.metric_names), log, self.learn.phase_title))


class NoBars(Callback):
    """Replace progress bars when nobody watches; graphs and tables next to a bar are not drawn either."""

    name = "progress"

    @property
    def mbar(self) -> "NoBars":
        """An object with a bar's methods."""
        return self

    def update_graph(self, graphs: Any, x_bounds: Any = None, y_bounds: Any = None) -> None:
        """Draw nothing."""

    def write(self, line: Any, table: bool = False) -> None:
        """Write nothing: the epoch's line is printed anyway."""
