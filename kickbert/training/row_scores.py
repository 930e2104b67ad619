"""Scores of single validation rows, and the gain of a phase with its paired interval."""

import numpy as np
from fastai.callback.core import Callback
from torch import Tensor

from kickbert.targets.base import Target

Z = 1.96  # standard errors of a 95% interval


class RowScores(Callback):
    """Score the prediction of each validation row (1 is best), to compare phases row by row.

    Args:
        target: the prediction target.
    """

    run_train = False

    def __init__(self, target: Target):
        self.target = target
        self.parts: list[np.ndarray] = []

    def fresh(self) -> "RowScores":
        """Return a copy without scores."""
        return RowScores(self.target)

    def before_validate(self):
        self.parts = []

    def after_pred(self):
        loss = self.loss_func
        y_pred = loss.decodes(loss.activation(self.pred.detach().as_subclass(Tensor)))
        y_true = self.y.as_subclass(Tensor)
        self.parts.append(self.target.row_scores(y_true.float().cpu().numpy(), y_pred.float().cpu().numpy()))

    @property
    def scores(self) -> np.ndarray:
        """Score of each row, shape (n,), in validation order."""
        return np.concatenate(self.parts)


def paired_gain(after: np.ndarray, before: np.ndarray) -> dict[str, float]:
    """Compute the mean difference of paired scores in points, with its 95% interval (normal approximation)."""
    differences = 100 * (after - before)
    mean = differences.mean()
    half_width = Z * differences.std() / np.sqrt(len(differences))
    return {"gain": float(mean), "low": float(mean - half_width), "high": float(mean + half_width)}
