"""Set a phase's learning rates step by step, and end it at its deadline."""

import time

import numpy as np
from fastai.callback.core import CancelTrainException
from fastai.callback.schedule import ParamScheduler

from kickbert.training.schedule import Phase


class Rates(ParamScheduler):
    """Set a phase's learning rates step by step.

    The position in the phase is the share of its steps or of its time, whichever is larger, so that the rates are
    annealed when the time is up.

    Args:
        phase: the phase.
        groups: number of layer groups.
        deadline: `time.perf_counter()` at which training ends, even if steps are left; None for no limit.
    """

    def __init__(self, phase: Phase, groups: int, deadline: float | None = None):
        super().__init__({"lr": lambda at: np.array(phase.rates_at(at, groups))})
        self.deadline = deadline
        self.start: float | None = None

    def before_batch(self):
        """Set the rates. Time counts from the first batch on, when the frozen part has been computed."""
        if self.deadline is None:
            return self._update_val(self.pct_train)
        now = time.perf_counter()
        self.start = self.start or now
        share = (now - self.start) / max(1.0, self.deadline - self.start)
        if share >= 1:
            raise CancelTrainException
        self._update_val(max(self.pct_train, share))
