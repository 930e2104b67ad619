"""The learning curve of each fit of a learner."""

from dataclasses import dataclass
from typing import Any

from fastai.callback.core import Callback
from fastai.learner import Recorder


@dataclass(frozen=True)
class Fit:
    """The learning curve of one fit.

    Args:
        title: title of its phase; empty outside `fit_gradual`.
        losses: smoothed training loss after each step.
        rates: learning rate of the head at each step.
        groups: names of the layer groups that trained.
        shares: learning rate of each of these groups divided by the head's.
        names: names of losses and metrics.
        values: one row of losses and metrics per epoch, NaN if not computed.
        kept: number of the epoch that the model's weights are from after the fit.
    """

    title: str
    losses: list[float]
    rates: list[float]
    groups: list[str]
    shares: list[float]
    names: list[str]
    values: list[list[float]]
    kept: int = -1

    @property
    def final(self) -> dict[str, float]:
        """Losses and metrics, by name, of the model's weights after the fit."""
        return dict(zip(self.names, self.values[self.kept], strict=True))


class History(Callback):
    """Record the learning curve of each fit in `learn.history.fits`."""

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
        head_rate = float(table["lr"].iloc[-1]) or 1.0
        self.fits.append(
            Fit(
                self.learn.phase_title,
                [float(loss) for loss in recorder.losses],
                [float(rate) for rate in recorder.lrs],
                table["group"].tolist(),
                [round(float(rate) / head_rate, 6) for rate in table["lr"]],
                recorder.names,
                [[float(value) for value in row] for row in recorder.values],
                recorder.kept,
            )
        )
