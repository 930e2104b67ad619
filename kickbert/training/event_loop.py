"""A fastai Learner with a lean event loop, the model's own precision, and run logs by name."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fastai.callback.core import event
from fastai.callback.fp16 import AMPMode, MixedPrecision
from fastai.callback.progress import ProgressCallback
from fastai.learner import Learner
from fastai.torch_core import to_detach

from kickbert.training.run_logs.callback import callbacks_by_name, end_logs
from kickbert.utils.devices import choose_precision
from kickbert.utils.progress import say


class LeanLearner(Learner):
    """A fastai Learner that calls only the callbacks that handle an event, and accepts run logs by name."""

    def add_cbs(self, cbs: Any) -> "LeanLearner":
        """fastai's `add_cbs`, for callbacks and names of run logs."""
        return super().add_cbs(callbacks_by_name(cbs))

    def add_cb(self, cb: Any) -> "LeanLearner":
        """fastai's `add_cb`. `MixedPrecision`, which `to_fp16` and `to_bf16` add, sets the model's precision instead.

        The cache uses the model's precision too.
        """
        if cb is not MixedPrecision and not isinstance(cb, MixedPrecision):
            return super().add_cb(cb)
        half = cb is MixedPrecision or cb.amp_mode is AMPMode.FP16
        device = next(self.model.parameters()).device
        self.model.precision = choose_precision("auto" if half else "bf16", device)
        if half:
            say(f"fp16 is not supported; using {self.model.precision}")
        return self

    def to_fp32(self) -> "LeanLearner":
        """Switch to fp32."""
        self.model.precision = "fp32"
        return self

    @contextmanager
    def no_bar(self) -> Iterator["LeanLearner"]:
        """fastai's `no_bar`, which restores the same bars."""
        with self.removed_cbs(self._grab_cbs(ProgressCallback)):
            yield self

    def freeze_to(self, n: int) -> None:
        """fastai's `freeze_to`, with immediate effect even within an epoch."""
        super().freeze_to(n)
        self.model.train(self.model.training)  # which updates the model's frozen prefix

    @contextmanager
    def added_cbs(self, cbs: Any) -> Iterator[None]:
        """fastai's `added_cbs`, which the fit methods call, for callbacks and names of run logs."""
        named = callbacks_by_name(cbs)
        try:
            with super().added_cbs(named):
                yield
        finally:
            end_logs(named, keep=cbs)

    def __call__(self, event_name: str | Sequence[str]) -> None:
        for name in [event_name] if isinstance(event_name, str) else event_name:
            self._call_one(name)

    def to_detach(self, b: Any, cpu: bool = True, gather: bool = True) -> Any:
        """Detach tensors as fastai does, but never gather them: batches of several processes are already complete."""
        return to_detach(b, cpu, gather=False)

    def _call_one(self, event_name: str) -> None:
        # after_fit re-enables every callback, with or without the event; fastai raises for unknown events.
        if event_name == "after_fit" or not hasattr(event, event_name):
            return super()._call_one(event_name)
        # A callback without the event would look it up in the learner and the model: 10 to 20 µs each time.
        handlers = [cb for cb in self.cbs if event_name in vars(cb) or hasattr(type(cb), event_name)]
        for cb in sorted(handlers, key=lambda cb: cb.order):
            cb(event_name)
