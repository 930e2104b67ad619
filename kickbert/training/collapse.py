"""Detect a collapsed model, which predicts the same for every row."""

import torch
from fastai.callback.core import Callback

from kickbert.targets.base import Target


class Collapse(Callback):
    """Track the validation predictions of the last epoch; `message` warns if they are all the same."""

    run_train = False
    MIN_ROWS = 20  # fewer rows may well be of one class

    def before_validate(self):
        self.rows = 0
        self.predicted = None

    def after_pred(self):
        loss = self.loss_func
        if not hasattr(loss, "decodes"):
            return
        y_pred = loss.decodes(loss.activation(self.pred.detach().as_subclass(torch.Tensor)))
        self.rows += len(y_pred)
        self.predicted = torch.cat([y_pred[:0] if self.predicted is None else self.predicted, y_pred]).unique(dim=0)[:2]

    def message(self, target: Target) -> str | None:
        """Return a warning if the last epoch predicted the same for all validation rows; otherwise None."""
        predicted = getattr(self, "predicted", None)
        if predicted is None or len(predicted) > 1 or self.rows < self.MIN_ROWS:
            return None
        label = target.shown(predicted[0].numpy())
        return (
            f"the model predicts {label!r} for all {self.rows:,} validation rows. Train longer or deeper, with another "
            "learning rate, or with class_weights='balanced'"
        )
