"""Add what the columns beside the text say, as offsets, to the logits of each batch."""

from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback
from torch import Tensor


class ColumnOffsets(Callback):
    """Add the offsets of a batch's rows to its logits, in training, validation and prediction."""

    order = -50  # before callbacks that read predictions

    def after_pred(self):
        if (offsets := getattr(self.learn.dl, "offsets", None)) is not None:
            rows = torch.from_numpy(np.asarray(self.learn.dl.batch_items))
            self.learn.pred = self.learn.pred + offsets[rows].to(self.learn.pred.device)


class OffsetLoss:
    """A loss of logits to which each row's offsets are added, for rows that are not read in batches.

    Args:
        loss_func: loss of logits, codes and further tensors.
    """

    def __init__(self, loss_func: Any):
        self.loss_func = loss_func

    def __call__(self, logits: Tensor, codes: Tensor, *further: Tensor) -> Tensor:
        """Compute the loss; the offsets, shape (n, outputs), are the last of the further tensors."""
        *others, offsets = further
        loss: Tensor = self.loss_func(logits + offsets, codes, *others)
        return loss
