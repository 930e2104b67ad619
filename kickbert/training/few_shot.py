"""Few-shot training: the last layers learn which texts have the same class; then a logistic regression is the head.

    rows → states of the frozen prefix, from the cache → steps of the layers above → embeddings → logistic regression

SetFit (Tunstall et al. 2022) encodes a text again for each of its pairs. Here each text is encoded once per batch, the
loss uses all pairs in the batch (as in Khosla et al. 2020), and the frozen prefix is read from the cache.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as torch's own documentation writes it

from kickbert.cache.building import view_of
from kickbert.cache.embeddings import NAMED
from kickbert.cache.states import View
from kickbert.data.batching import length_batches
from kickbert.data.packed import Packed
from kickbert.data.splits import held_out_folds
from kickbert.targets.base import Target
from kickbert.targets.labels import Labels
from kickbert.text.tokenization import PAD
from kickbert.training.checkpoint import USUAL
from kickbert.training.curves import one_cycle
from kickbert.training.guard import TrainingDiverged, restore, snapshot
from kickbert.training.optimizers import adamw
from kickbert.training.recorder import epoch_line
from kickbert.training.run_logs.callback import RunLog
from kickbert.training.schedule import last_layers
from kickbert.utils.messages import plural
from kickbert.utils.progress import bar, say

FEW = 40  # maximum rows per class for few-shot training by default
CHUNK = 2_048  # maximum tokens per forward pass, including padding
ENOUGH = 100  # minimum validation rows for choosing a recipe; with fewer, it is chosen on folds of the training rows
FOLDS = 3  # folds of the training rows for choosing a recipe
MIN_CLASS_ROWS = 4  # minimum rows of the smallest class for folds
LOSSES = ("contrastive", "cross entropy")


@dataclass(frozen=True)
class FewShot:
    """A recipe for few-shot training.

    Args:
        layers: number of last layers to train; 0 for only the head.
        steps: number of steps; None for 0.6 per row, between 10 and 40: few rows are memorized quickly.
        lr: maximum learning rate of these layers.
        rows: maximum rows per batch.
        c: inverse strength of the head's L2 regularization, as in scikit-learn.
        names: whether to add a sentence with the name of each class as a training row, if the names are words.
        loss: "contrastive", after which the head is fitted again; or "cross entropy", which also trains the head.
    Raises:
        ValueError: an unknown loss, or a number out of range.
    """

    layers: int = 4
    steps: int | None = None
    lr: float = 1e-4
    rows: int = 64
    c: float = 10.0
    names: bool = True
    loss: str = "contrastive"

    def __post_init__(self):
        if self.loss not in LOSSES:
            raise ValueError(f"loss={self.loss!r} is not one of {list(LOSSES)}")
        if self.layers < 0 or (self.steps or 1) < 0 or self.rows < 2 or not (self.lr > 0 and self.c > 0):
            raise ValueError(f"{self!r} needs layers and steps of at least 0, rows of at least 2, lr and c above 0")

    def __str__(self) -> str:
        return "head" if 0 in (self.layers, self.steps) else f"{last_layers(self.layers)}, {self.loss}"

    def steps_of(self, rows: int) -> int:
        """Return the number of steps for a number of rows."""
        return min(40, max(10, round(0.6 * rows))) if self.steps is None else self.steps


RECIPES = (FewShot(layers=0), FewShot(layers=2, loss="cross entropy"), FewShot())


def few_labels(learn: Any) -> bool:
    """Tell whether `fit_few` usually does better than `fit_gradual`: few rows and nothing that `fit_few` ignores.

    That means single labels, mean pooling, the default loss, sampling, optimizer and schedule, no windows, no
    augmentation, and no callbacks of your own.
    """
    if learn.schedule or learn.opt_func is not adamw:
        return False
    if any(type(cb) not in USUAL or isinstance(cb, RunLog) for cb in learn.cbs):
        return False
    dls, head, loss = learn.dls, learn.model.head, getattr(learn.loss_func, "func", None)
    if getattr(dls, "target", None) is None or type(dls.target) is not Labels or dls.train.rows[0].first is not None:
        return False
    plain = head.pooling == "mean" and head.pre_classifier is None
    plain = plain and type(loss) is nn.CrossEntropyLoss and loss.weight is None and not loss.label_smoothing
    plain = plain and dls.train.weights is None and not dls.train.varies and not dls.train.further
    plain = plain and dls.columns is None
    return plain and len(dls.train.rows[1]) <= FEW * len(dls.target.names)


def fit_few(learn: Any, recipe: FewShot | Sequence[FewShot] | None) -> pd.DataFrame:
    """Train a learner on few labels; arguments and result as for `GradualLearner.fit_few`."""
    recipes = [FewShot()] if recipe is None else [recipe] if isinstance(recipe, FewShot) else list(recipe)
    rows, ladder = FewRows(learn), []
    recipe = recipes[0] if len(recipes) == 1 else rows.choose(recipes)
    for number, phase in enumerate(rows.train(recipe, rows.train_rows), 1):
        values = learn.validate() if len(rows.valid_rows) else []
        names = ["valid_loss", *(metric.name for metric in learn.metrics)]
        scores = dict(zip(names, map(float, values), strict=False))
        ladder.append(phase | scores)
        say(_phase_line(number, phase, scores))
    return pd.DataFrame(ladder)


class FewRows:
    """A learner's rows at the depth where training starts, and few-shot training on them.

    Args:
        learn: a learner of classes, without windows.
    Raises:
        ValueError: any other learner.
    """

    def __init__(self, learn: Any):
        target = getattr(learn.dls, "target", None)
        if target is None:
            raise ValueError(
                "fit_few needs the DataLoaders of learner_from_df. With those of a DataBlock, use fit_gradual()"
            )
        if learn.dls.columns is not None:
            raise ValueError(
                f"fit_few reads text alone, and this learner reads {learn.dls.columns.names} too. Use fit_gradual(), "
                "or make the learner without these columns"
            )
        if len(learn.splitter(learn.model)) != len(learn.model.groups()):
            raise ValueError("fit_few needs the model's layer groups, and splitter= defines others. Omit splitter")
        (train, codes), (valid, valid_codes) = (dl.rows[:2] for dl in (learn.dls.train, learn.dls.valid))
        if target.is_ordered or target.is_number or train.first is not None:
            kind = "windows" if train.first is not None else target.task
            raise ValueError(f"fit_few is for classes without windows, not for {kind}. Use fit_gradual()")
        if learn.model.head.side is not None:
            learn.use_side(False)
        self.learn, self.model = learn, learn.model
        sentences = _sentences(target)
        named = Packed.of(learn.dls.tokenizer.encode_batch(sentences)[0])
        parts, targets = (train, valid, named), (codes, valid_codes, torch.arange(len(named)))
        self.ids = Packed.of([part.row(i) for part in parts for i in range(len(part))])
        self.targets = torch.cat([t.as_subclass(Tensor) for t in (targets if sentences else targets[:2])])
        ends = [len(train), len(train) + len(valid)]
        self.train_rows, self.valid_rows, self.named_rows = np.split(np.arange(len(self.ids)), ends)
        self.views: dict[int, View | None] = {}
        self.accuracies: list[float] = []  # of the recipes that `choose` compared, on held-out rows

    def choose(self, recipes: Sequence[FewShot]) -> FewShot:
        """Choose the recipe that predicts held-out rows best, the first of equal ones.

        Held-out rows are the validation rows or, if they are few, folds of the training rows. If a class has too few
        rows for folds, this returns the last recipe and sets no `accuracies`.
        """
        codes, folds = self.targets[self.train_rows].numpy(), [(self.train_rows, self.valid_rows)]
        held_out = f"{len(self.valid_rows):,} validation rows"
        if len(self.valid_rows) < ENOUGH:
            counts = codes.sum(0) if codes.ndim == 2 else np.unique(codes, return_counts=True)[1]
            if counts.min() < MIN_CLASS_ROWS:
                return recipes[-1]
            parts = held_out_folds(codes, np.arange(len(codes)), FOLDS, self.learn.seed or 0)
            folds, held_out = [(np.setdiff1d(self.train_rows, part), part) for part in parts], f"{FOLDS} folds"
        right = [np.concatenate([self._right(recipe, *fold) for fold in folds]) for recipe in recipes]
        self.accuracies = [float(rows.mean()) for rows in right]
        scores = ", ".join(f"{recipe} {score:.3f}" for recipe, score in zip(recipes, self.accuracies, strict=True))
        say(f"few labels: accuracy on {held_out}: {scores}")
        return recipes[int(np.argmax(self.accuracies))]

    def _right(self, recipe: FewShot, positions: np.ndarray, held: np.ndarray) -> np.ndarray:
        """Train by a recipe, undo it, and return the share of correct labels in each held-out row."""
        before = snapshot(self.model.parameters())
        try:
            for _ in self.train(recipe, positions):
                pass
            logits = self.model.head.classify(self.embed(recipe, held, training=False))
            predicted = self.learn.loss_func.decodes(self.learn.loss_func.activation(logits)).cpu()
        finally:
            restore(before)
        return (predicted == self.targets[held]).reshape(len(held), -1).float().mean(1).numpy()

    def train(self, recipe: FewShot, positions: np.ndarray) -> Iterator[dict]:
        """Train by a recipe on some of the rows and yield a dict after each phase.

        Raises:
            TrainingDiverged: the loss was NaN or infinite; the weights are those from before the steps.
        """
        model, layers, start = self.model, self.layers_of(recipe), time.perf_counter()
        positions = np.append(positions, self.named_rows) if recipe.names else positions
        self.learn.freeze_to(model.encoder.n_layers - layers + 1)
        model.head.normalize = True
        self.fit_head(recipe, positions)
        yield _phase("head", list(model.head.parameters()), start)
        if not layers or (recipe.loss == "contrastive" and not _has_pairs(self.targets[positions])):
            return
        start = time.perf_counter()
        trained = [p for group in list(model.encoder.groups().values())[-layers:] for p in group]
        if recipe.loss == "contrastive":
            self.take_steps(recipe, positions, trained, contrastive_loss)
            self.fit_head(recipe, positions)
        else:
            self.take_steps(recipe, positions, trained := [*trained, *model.head.parameters()], self.cross_entropy)
        yield _phase(str(recipe), trained, start, recipe.steps_of(len(positions)), recipe.lr)

    def layers_of(self, recipe: FewShot) -> int:
        """Return the number of layers that a recipe trains; the embeddings never train."""
        return 0 if recipe.steps == 0 else min(recipe.layers, self.model.encoder.n_layers - 1)

    def take_steps(self, recipe: FewShot, positions: np.ndarray, parameters: list[nn.Parameter], loss_of: Any) -> None:
        """Minimize `loss_of(embeddings, targets)` with AdamW under one cycle."""
        rng = np.random.default_rng(self.learn.seed)
        before = snapshot(parameters)
        optimizer = torch.optim.AdamW(parameters, lr=recipe.lr, weight_decay=0.01)
        steps = recipe.steps_of(len(positions))
        for step in bar(range(steps), f"{recipe.loss} steps"):
            optimizer.param_groups[0]["lr"] = recipe.lr * one_cycle(step / steps)
            rows = positions[draw_rows(self.targets[positions].numpy(), recipe.rows, rng)]
            embeddings = self.embed(recipe, rows)
            loss = loss_of(embeddings, self.targets[rows].to(embeddings.device))
            if not torch.isfinite(loss):
                restore(before)
                raise TrainingDiverged(
                    f"the {recipe.loss} loss became {loss.item()} at step {step + 1}, with lr={recipe.lr:g}; the "
                    "previous weights were restored. Use a smaller lr or precision='fp32'"
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def cross_entropy(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """Compute the cross entropy of the head's logits."""
        logits = self.model.head.classify(embeddings)
        if targets.dim() == 2:
            return F.binary_cross_entropy_with_logits(logits, targets.float())
        return F.cross_entropy(logits, targets)

    def fit_head(self, recipe: FewShot, positions: np.ndarray) -> None:
        """Set the head to a logistic regression on the embeddings of rows."""
        embeddings = self.embed(recipe, positions, training=False).cpu().numpy()
        self.model.head.fit(embeddings, self.targets[positions].numpy(), recipe.c)

    def embed(self, recipe: FewShot, rows: np.ndarray, training: bool = True) -> Tensor:
        """Compute embeddings of length one, shape (rows, width), through the layers that a recipe trains."""
        depth = self.model.encoder.n_layers - self.layers_of(recipe)
        device = next(self.model.parameters()).device
        self.model.train(training)
        view = self.view(depth)
        batches = list(length_batches(self.ids.lengths[rows], tokens=CHUNK))
        pooled = []
        with torch.set_grad_enabled(training):
            for positions in batches:
                chosen = rows[positions]
                x = self.ids.gather(chosen, fill=PAD).long().to(device)
                known = () if view is None else (view.hidden(chosen, device), depth)
                pooled.append(F.normalize(self.model.pool(x, *known).float(), dim=1))
            return torch.cat(pooled)[np.argsort(np.concatenate(batches))]

    def view(self, depth: int) -> View | None:
        """Return the cached states of the rows at a depth; None without a cache or without room.

        The views stay valid because layers below the depth never train.
        """
        if not hasattr(self.learn, "cache"):
            return None
        if depth not in self.views:
            self.views[depth] = view_of(self.model, self.ids, depth, self.learn.cache.storage)
        return self.views[depth]


def _sentences(target: Target) -> list[str]:
    """Make a sentence from each class name; none if the names are not words, or with several labels."""
    names = [str(name) for name in target.names]
    if type(target) is not Labels or not all(any(map(str.isalpha, name)) for name in names):
        return []
    return [NAMED.format(name.replace("_", " ").replace("&", "and").lower()) for name in names]


def _phase(
    name: str, trained: list[nn.Parameter], start: float, steps: int | None = None, lr: float | None = None
) -> dict:
    size, seconds = sum(p.numel() for p in trained), time.perf_counter() - start
    return {"phase": name, "trainable": size, "steps": steps, "lr": lr, "seconds": seconds}


def _phase_line(number: int, phase: dict, scores: dict[str, float]) -> str:
    """Format the line that is printed after a phase."""
    steps = f"  {plural(phase['steps'], 'step')}" if phase["steps"] else ""
    shown = scores | {"time": f"{phase['seconds']:.0f} s"}
    return epoch_line(list(shown), list(shown.values()), f"{number} {phase['phase']}{steps}")


def _has_pairs(targets: Tensor) -> bool:
    """Tell whether some class has two rows; otherwise the contrastive loss has no pairs of one class."""
    counts = targets.sum(0) if targets.dim() == 2 else torch.bincount(targets)
    return bool((counts > 1).any())


def contrastive_loss(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Compute the squared distance of each pair's cosine from 1 (same class) or 0; both kinds have equal weight.

    Args:
        embeddings: vectors of length one, shape (rows, width).
        targets: class numbers, shape (rows,); or zeros and ones, shape (rows, labels), in which case the Jaccard index
            of a pair's labels is its similarity.

    >>> float(contrastive_loss(torch.eye(2), torch.tensor([0, 1])))
    0.0
    """
    cosines = embeddings @ embeddings.T
    if targets.dim() == 2:
        both = targets @ targets.T
        either = targets.sum(1)[:, None] + targets.sum(1) - both
        alike = torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(both))
    else:
        alike = (targets[:, None] == targets).float()
    pairs = ~torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    parts = [(cosines - alike)[pairs & kind].square() for kind in (alike > 0, alike == 0)]
    return sum((part.mean() for part in parts if len(part)), start=cosines.new_zeros(()))


def draw_rows(targets: np.ndarray, max_rows: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the rows of a batch: all if they fit, otherwise at least two rows of as many classes as fit.

    Args:
        targets: class numbers, shape (n,); or zeros and ones, shape (n, labels): rows are then drawn at random.
        max_rows: maximum rows per batch.
    """
    order = rng.permutation(len(targets))
    if len(order) <= max_rows or targets.ndim == 2:
        return order[:max_rows]
    classes = rng.permutation(np.unique(targets))[: max_rows // 2]
    each = max(2, max_rows // len(classes))
    chosen = [order[targets[order] == c][:each] for c in classes]
    return np.concatenate(chosen)[:max_rows]
