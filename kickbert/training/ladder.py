"""The ladder of `fit_gradual`: one phase after another, each with its rows, frozen groups, rates and checkpoint."""

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from fastai.callback.core import Callback
from fastai.callback.tracker import EarlyStoppingCallback
from fastai.torch_core import no_random
from safetensors import SafetensorError
from torch import Tensor

from kickbert.data.bucketing import BucketDL
from kickbert.models.head import Head
from kickbert.training.checkpoint import (
    RunKey,
    moments,
    resumed,
    run_key,
    save_phase,
    saved_moments,
    set_moments,
    trained_weights,
)
from kickbert.training.head_solver import SolveHead, solvable
from kickbert.training.rates import Rates
from kickbert.training.schedule import SHRUNK, Phase

if TYPE_CHECKING:
    from kickbert.training.learner import GradualLearner


HEAD_EPOCHS = 20  # maximum epochs of a head that takes steps until it has converged
CONVERGED = 0.005  # smaller improvements of the training loss in an epoch end them


class Plan(Protocol):
    """Chooses the phases of a run.

    Attributes:
        parts: values that identify a run with this plan.
        freeze_to: first trainable groups of the phases that may come, ascending.
        total: number of phases; None if it depends on their results.
    """

    parts: list
    freeze_to: list[int]
    total: int | None

    def next(self, ladder: list[dict]) -> Phase | None:
        """Return the phase after these rows of the ladder; None at the end."""

    def run(self, learn: "GradualLearner", phase: Phase, number: int, cbs: Any) -> dict:
        """Train a phase and return its row of the ladder."""


class Fixed:
    """A plan of phases that are known from the start."""

    def __init__(self, phases: Sequence[Phase]):
        self.parts = list(phases)
        self.freeze_to = sorted({phase.freeze_to for phase in phases})
        self.total: int | None = len(self.parts)

    def next(self, ladder: list[dict]) -> Phase | None:
        """Return the phase after these rows of the ladder; None at the end."""
        return self.parts[len(ladder)] if len(ladder) < len(self.parts) else None

    def run(self, learn: "GradualLearner", phase: Phase, number: int, cbs: Any) -> dict:
        """Train a phase and return its row of the ladder."""
        return train_phase(learn, phase, number, cbs)


def run_phases(learn: "GradualLearner", plan: Plan, cbs: Any, resume: bool, name: str | None) -> list[dict]:
    """Train phase by phase, with a checkpoint after each.

    Args:
        learn: the learner.
        plan: plan that chooses the phases.
        cbs: further callbacks of this run.
        resume: whether to continue from the checkpoint, if there is one.
        name: version of your own functions and classes in the run's key.

    Returns:
        The ladder, one dict per phase.

    Raises:
        ValueError: the checkpoint belongs to another run.
    """
    file = Path(learn.path) / learn.model_dir / "gradual.safetensors"
    save = _Checkpoints(file)
    key = run_key(learn, plan.parts, plan.freeze_to, cbs, resume, name)
    learn.ladder = ladder = resumed(learn, file, key, plan.total) if resume else []
    if not ladder:  # a run that is killed in its first phase restarts from this checkpoint
        save(trained_weights(learn, plan.freeze_to), key, ladder)
        if learn.opt is not None:
            learn.opt.clear_state()
    resumed_phases = len(ladder)
    while (phase := plan.next(ladder)) is not None:
        number = len(ladder)
        if number and number == resumed_phases:
            set_moments(learn, saved_moments(file))
        with _phase_of(learn, plan, phase, number):
            ladder.append(plan.run(learn, phase, number, cbs))
        trained = trained_weights(learn, plan.freeze_to)  # a phase may have added a side network
        save(trained | moments(learn, trained), key, ladder)
    return ladder


class _Checkpoints:
    """Writes the checkpoints of a run until one cannot be written: that costs the way to resume, not the run.

    Args:
        file: the checkpoint.
    """

    def __init__(self, file: Path):
        self.file = file
        self.writable = True

    def __call__(self, parameters: Mapping[str, Tensor], key: RunKey, ladder: list[dict]) -> None:
        if not self.writable:
            return
        try:
            save_phase(self.file, parameters, key, ladder)
        except (OSError, SafetensorError) as err:
            self.writable = False
            reason = getattr(err, "strerror", None) or err
            warnings.warn(
                f"checkpoints cannot be written to {self.file.parent} ({reason}): training continues, but cannot be "
                "resumed. Give a folder that can be written: learner_from_df(…, path=…)",
                stacklevel=4,
            )


@contextmanager
def _phase_of(learn: "GradualLearner", plan: Plan, phase: Phase, number: int) -> Iterator[None]:
    """Set a learner's title, rows and random numbers for a phase, and reset them."""
    loaders = learn.dls.loaders
    seed = None if learn.seed is None else learn.seed + number
    learn.phase_title = f"{number + 1}{f'/{plan.total}' if plan.total else ''} {phase.name}"
    if phase.rows is not None and isinstance(loaders[0], BucketDL):
        learn.dls.loaders = [loaders[0].some_rows(phase.rows, learn.seed), *loaders[1:]]
    if hasattr(learn, "cache"):
        learn.cache.ahead = [first - 1 for first in plan.freeze_to if first > 1]
    try:
        with no_random(seed) if seed is not None else nullcontext():
            yield
    finally:
        learn.phase_title = ""
        learn.dls.loaders = loaders
        if hasattr(learn, "cache"):
            learn.cache.ahead = []


def _start_head(learn: "GradualLearner", phase: Phase) -> None:
    """Add or remove a side network, and shrink the head, as a phase asks for."""
    head = getattr(learn.model, "head", None)
    if not isinstance(head, Head):
        return
    if phase.side != (head.side is not None) or (phase.side and phase.head != "kept"):
        learn.use_side(phase.side)
    if phase.head == "shrunk" and solvable(head):
        with torch.no_grad():
            head.classifier.weight.mul_(SHRUNK)
            head.classifier.bias.mul_(SHRUNK)


def _epochs_and_callbacks(learn: "GradualLearner", phase: Phase, deadline: float | None) -> tuple[int, list[Callback]]:
    """Return the epochs of a phase, and the callbacks that solve its head or set its rates."""
    solve = phase.head == "solved"
    if solve and isinstance(learn.dls.train, BucketDL) and solvable(learn.model.head):
        return 1, [SolveHead()]
    rates = Rates(phase, len(learn.splitter(learn.model)), deadline)
    if solve:
        return max(phase.epochs, HEAD_EPOCHS), [rates, EarlyStoppingCallback("train_loss", min_delta=CONVERGED)]
    return phase.epochs, [rates]


def train_phase(learn: "GradualLearner", phase: Phase, number: int, cbs: Any, deadline: float | None = None) -> dict:
    """Train one phase and return its row of the ladder.

    Args:
        learn: the learner.
        phase: the phase.
        number: number of the phase, from 0.
        cbs: further callbacks.
        deadline: `time.perf_counter()` at which training ends at the latest.
    """
    if learn.seed is not None:
        learn.dls.train.seed(learn.seed + number)
    _start_head(learn, phase)
    kept = moments(learn, dict(learn.model.named_parameters()))
    learn.freeze_to(phase.freeze_to)  # which drops the moments of layers that continue to train
    set_moments(learn, kept)
    start = time.perf_counter()
    epochs, own = _epochs_and_callbacks(learn, phase, deadline)
    learn.fit(epochs, cbs=[*own, *(cbs or [])])
    seconds = time.perf_counter() - start
    row = {
        "phase": phase.name,
        "trainable": sum(p.numel() for p in learn.model.parameters() if p.requires_grad),
        "rows": learn.dls.train.n,
        "epochs": len(learn.recorder.values),
        "lr": None if isinstance(own[0], SolveHead) else phase.lr,
        "seconds": seconds,
    }
    return row | {name: float(value) for name, value in learn.recorder.final.items()}
