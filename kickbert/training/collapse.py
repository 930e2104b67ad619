"""Detect a model that has learned too little: it predicts the same for every row, or its loss is that of a constant."""

import torch
from fastai.callback.core import Callback
from fastai.losses import BaseLoss

from kickbert.evaluation.collapse import GAIN, MIN_ROWS, one_class, train_longer
from kickbert.training.losses import FunctionLoss

CONSTANT_ROWS = 10_000  # maximum training rows for the loss of a constant


class Collapse(Callback):
    """Track the validation predictions of the last epoch; `message` warns if the model has learned too little."""

    run_train = False

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

    def message(self) -> str | None:
        """Return a warning if the learner has learned too little, with what to do; otherwise None.

        It has if the last epoch predicted the same for all validation rows although their labels differ, or if training
        and validation loss have hardly moved from the loss of the class frequencies.
        """
        dls, predicted = self.dls, getattr(self, "predicted", None)
        differ = len(dls.valid_ds) and len(dls.valid.rows[1].unique(dim=0)) > 1
        problem = None
        if predicted is not None and len(predicted) == 1 and differ and self.rows >= MIN_ROWS:
            problem = one_class(dls.target.shown(predicted[0].cpu().numpy()), self.rows, "validation ")
        elif self._has_hardly_moved():
            problem = "the loss has hardly moved: it is still near that of always predicting the class frequencies"
        return problem and f"{problem}. {train_longer(self.learn.longer)}"

    def _has_hardly_moved(self) -> bool:
        """Tell whether the last losses are near that of a constant prediction."""
        scores = self.learn.last_scores()
        losses = [scores[name] for name in ("train_loss", "valid_loss") if name in scores]
        loss, train = self.loss_func, self.dls.train
        known = isinstance(loss, BaseLoss) and not isinstance(loss.func, FunctionLoss)
        if "train_loss" not in scores or not known or train.weights is not None or train.n < MIN_ROWS:
            return False
        return min(losses) > (1 - GAIN) * self._constant_loss()

    def _constant_loss(self) -> float:
        """Compute the loss of the class frequencies or, if it is lower, of equal probabilities; or of the mean."""
        target, codes = self.dls.target, self.dls.train.rows[1].as_subclass(torch.Tensor)
        codes = codes[:: 1 + len(codes) // CONSTANT_ROWS].to(next(self.model.parameters()).device)
        best = torch.as_tensor(target.constant(codes.cpu().numpy()), dtype=torch.float32, device=codes.device)
        if not target.is_number:
            best = best.logit(eps=1e-6) if target.is_multilabel else best.clamp(min=1e-6).log()
        constants = (best, torch.zeros_like(best))
        return min(float(self.loss_func(row.expand(len(codes), -1), codes)) for row in constants)
