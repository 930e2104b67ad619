"""Solve the head on a frozen encoder: the optimum of the training loss on the rows' pooled states.

    training rows → pooled states, from the cache → L-BFGS for several strengths of regularization → the one with the
    lowest loss on held-out rows → weights of the head's linear layer

With fixed states, the loss of a linear layer is convex, and L-BFGS reaches its minimum in a second, where an epoch of
steps ends far above it. It minimizes the learner's own loss, so class weights, several labels, ordered classes and
numbers need no code of their own.
"""

from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback, CancelTrainException
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

from kickbert.cache.callback import PrefixCache
from kickbert.cache.embeddings import pooled_states
from kickbert.models.head import Head
from kickbert.training.column_offsets import OffsetLoss
from kickbert.training.distributed import Shard

STRENGTHS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4)  # of the L2 regularization of standardized states
HELD = 3  # one of so many rows is held out to choose the strength
FEW = 1_000  # with fewer rows, each third is held out once
MOST = 2_500  # maximum rows to choose the strength
STEPS = 100  # maximum iterations of L-BFGS


def solvable(head: Head) -> bool:
    """Tell whether a head is one linear layer on a pooling without parameters; a side network adds to it later."""
    return head.pre_classifier is None and head.has_fixed_pool


class SolveHead(Callback):
    """Solve the head in place of the steps of an epoch; if states or loss are not finite, the steps are taken."""

    order = PrefixCache.order + 1
    run_valid = False

    def before_train(self):
        dl = self.dls.train
        ids, targets, *further = dl.rows
        device = next(self.model.parameters()).device
        view = self.cache.view(ids) if hasattr(self.learn, "cache") else None
        offsets = [] if dl.offsets is None else [dl.offsets]
        parts = [pooled_states(self.model, ids, view), targets, *further, *dl.further, *offsets]
        if isinstance(dl, Shard):
            parts = [dl.of_whole(part) for part in parts]
            dl = dl.whole
        if not torch.isfinite(parts[0]).all():
            return
        rng = np.random.default_rng(self.learn.seed)
        if dl.weights is not None:
            drawn = torch.from_numpy(rng.choice(len(parts[0]), len(parts[0]), p=dl.weights))
            parts = [part[drawn] for part in parts]
        loss_func = OffsetLoss(self.loss_func) if offsets else self.loss_func
        loss = solve(self.model.head, loss_func, [part.to(device) for part in parts], rng)
        if loss is None:
            return
        self.learn.loss = loss
        self.recorder.smooth_loss.accumulate(self.learn)
        self.recorder.losses.append(self.recorder.smooth_loss.value)
        self.recorder.lrs.append(0.0)
        raise CancelTrainException

    def after_cancel_train(self):
        self.recorder.cancel_train = False  # it would omit the training loss


def solve(head: Head, loss_func: Any, rows: list[Tensor], rng: np.random.Generator) -> Tensor | None:
    """Set the head's linear layer to the minimum of a loss with L2 regularization.

    Args:
        head: a head of one linear layer.
        loss_func: loss of logits, codes and whatever else `rows` hold.
        rows: pooled states, shape (n, width), then codes and further tensors with one row each.
        rng: chooses the held-out rows.
    Returns:
        The loss of the rows, without regularization; None if it has no finite minimum, and the head is unchanged.
    """
    states, *targets = rows
    states = F.normalize(states, dim=-1) if head.normalize else states
    mean = states.mean(0)
    std = states.std(0, unbiased=False)
    std = torch.where(std < 1e-6, torch.ones_like(std), std)
    rows = [(states - mean) / std, *targets]
    if not torch.isfinite(loss_func(head.link(states.new_zeros(len(states), len(head.classifier.bias))), *targets)):
        return None
    strength = _choose_strength(head, loss_func, rows, rng)
    weight, bias = _minimize(head, loss_func, rows, strength)
    with torch.no_grad():
        loss: Tensor = loss_func(head.link(rows[0] @ weight.T + bias), *targets)
        if not torch.isfinite(loss):
            return None
        head.classifier.weight.copy_(weight / std)
        head.classifier.bias.copy_(bias - (weight / std) @ mean)
        return loss


def _choose_strength(head: Head, loss_func: Any, rows: list[Tensor], rng: np.random.Generator) -> float:
    """Find the strength with the lowest mean loss on held-out rows."""
    order = torch.from_numpy(rng.permutation(len(rows[0]))[:MOST])
    folds = HELD if len(order) < FEW else 1
    losses = np.zeros(len(STRENGTHS))
    for fold in range(folds):
        held = torch.arange(len(order)) % HELD == fold
        train = [part[order[~held]] for part in rows]
        test = [part[order[held]] for part in rows]
        solution = None
        for i, strength in enumerate(STRENGTHS):  # from strong to weak: each starts at the one before
            solution = _minimize(head, loss_func, train, strength, solution)
            losses[i] += float(loss_func(head.link(test[0] @ solution[0].T + solution[1]), *test[1:]))
    return STRENGTHS[int(np.argmin(losses))]


def _minimize(
    head: Head, loss_func: Any, rows: list[Tensor], strength: float, start: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Minimize the loss of standardized states plus `strength` times the squared weights, by L-BFGS."""
    states, *targets = rows
    outputs = head.classifier.out_features
    weight, bias = start or (states.new_zeros(outputs, states.shape[1]), states.new_zeros(outputs))
    weight = weight.clone().requires_grad_()
    bias = bias.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = loss_func(head.link(states @ weight.T + bias), *targets) + strength * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return weight.detach(), bias.detach()
