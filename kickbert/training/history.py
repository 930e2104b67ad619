"""What happened in each fit, kept for pictures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from fastai.callback.core import Callback
from fastai.learner import Recorder


@dataclass(frozen=True)
class Fit:
    """A fit.

    Args:
        title: of its phase; empty outside `fit_gradual`.
        losses: smoothed training loss after each step.
        rates: of the head, at each step.
        groups: names of the groups that trained.
        shares: the rate of each of these over the head's.
        names, values: of losses and metrics, a row of values per epoch.
    """

    title: str
    losses: list[float]
    rates: list[float]
    groups: list[str]
    shares: list[float]
    names: list[str]
    values: list[list[float]]


class History(Callback):
    """Keeps each fit: `learn.history.fits`."""

    order = Recorder.order + 1

    def __init__(self):
        super().__init__()
        self.fits: list[Fit] = []

    def after_fit(self):
        recorder = self.learn.recorder
        # fastai calls this after validation too, when no step was taken
        if hasattr(self.learn, "lr_finder") or not recorder.values or not recorder.losses:
            return
        table: Any = self.learn.groups
        table = table[table["trainable"]]
        last = float(table["lr"].iloc[-1]) or 1.0
        self.fits.append(
            Fit(
                self.learn.phase_title,
                [float(loss) for loss in recorder.losses],
                [float(rate) for rate in recorder.lrs],
                table["group"].tolist(),
                [round(float(rate) / last, 6) for rate in table["lr"]],
                list(recorder.metric_names[1:-1]),
                [[np.nan if v is None else float(v) for v in row] for row in recorder.values],
            )
        )
