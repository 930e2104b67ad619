"""fastai's training loop at less Python a step: what counts once an epoch of the head alone takes a blink."""

from collections.abc import Sequence

from fastai.callback.core import event
from fastai.learner import Learner


class Loop(Learner):
    """A fastai Learner, alike in what it does, which asks only those callbacks that have something to say."""

    def __call__(self, event_name: str | Sequence[str]) -> None:
        for name in [event_name] if isinstance(event_name, str) else event_name:
            self._call_one(name)

    def _call_one(self, event_name: str) -> None:
        # After the fit each callback, with or without the event, is to run again; and fastai knows what is no event.
        if event_name == "after_fit" or not hasattr(event, event_name):
            return super()._call_one(event_name)
        # A callback without the event would look for it through the learner and the model: 10 to 20 µs each time.
        concerned = [cb for cb in self.cbs if event_name in vars(cb) or hasattr(type(cb), event_name)]
        for cb in sorted(concerned, key=lambda cb: cb.order):
            cb(event_name)
