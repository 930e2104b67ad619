"""The ladder of `fit_gradual`: one phase after another, as planned or each chosen by what the last one brought.

plan → phase → its rows, frozen groups and rates → fit → a row of the ladder → checkpoint → plan → …
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from fastai.torch_core import no_random

from kickbert.data.bucketing import BucketDL
from kickbert.text.tokenization import PAD
from kickbert.training.callbacks import Rates, TrainingDiverged, bring_back, kept_weights
from kickbert.training.checkpoint import (
    kept_moments,
    moments,
    resumed,
    run_key,
    save_phase,
    set_moments,
)
from kickbert.training.metrics import RowScores, difference
from kickbert.training.schedule import Phase, gradual_unfreezing, rungs_of
from kickbert.utils.progress import say


class Plan(Protocol):
    """What comes next on the ladder.

    Attributes:
        parts: what a run by this plan is known by.
        freeze_to: of the phases that may come, ascending.
        total: number of phases; None where it depends on how they go.
    """

    parts: list
    freeze_to: list[int]
    total: int | None

    def next(self, done: list[dict]) -> Phase | None:
        """The phase after these rows of the ladder; None at its end."""

    def run(self, phase: Phase, train: Callable[..., dict]) -> dict:
        """Train a phase by `train(cbs, seconds)`, and give its row of the ladder."""


class Fixed:
    """A plan of phases that are known from the start."""

    def __init__(self, phases: Sequence[Phase]):
        self.parts, self.freeze_to = list(phases), sorted({phase.freeze_to for phase in phases})
        self.total = len(self.parts)

    def next(self, done: list[dict]) -> Phase | None:
        """The phase after these rows of the ladder; None at its end."""
        return self.parts[len(done)] if len(done) < len(self.parts) else None

    def run(self, phase: Phase, train: Callable[..., dict]) -> dict:
        """Train the phase; its row."""
        return train()


def climb(learn: Any, plan: Plan, cbs: Any, resume: bool) -> list[dict]:
    """Train a learner phase by phase, with a checkpoint after each.

    Args:
        learn: a `GradualLearner`.
        plan: what comes next.
        cbs: callbacks of this run, beside the learner's own.
        resume: go on from the checkpoint, if there is one.
    Returns:
        The ladder, a dict for each phase.
    Raises:
        ValueError: the checkpoint is of another run.
    """
    file = Path(learn.path) / learn.model_dir / "gradual.safetensors"
    key, trained = run_key(learn, plan.parts, plan.freeze_to, cbs, resume)
    learn.ladder = done = resumed(learn, file, key, plan.total) if resume else []
    if not done:  # a run that is killed in its first phase goes back to this
        save_phase(file, trained, key, done)
        if learn.opt is not None:
            learn.opt.clear_state()
    begun = len(done)
    while (phase := plan.next(done)) is not None:
        if done and len(done) == begun:  # where the run was broken off
            set_moments(learn, kept_moments(file))
        with _phase_of(learn, plan, phase, len(done)):
            done.append(plan.run(phase, lambda *args: _train(learn, phase, len(done), cbs, *args)))
        save_phase(file, trained | moments(learn, trained), key, done)
    return done


@contextmanager
def _phase_of(learn: Any, plan: Plan, phase: Phase, number: int) -> Iterator[None]:
    """Set a learner's title, rows and random numbers for a phase, and set them back."""
    loaders, seed = learn.dls.loaders, None if learn.seed is None else learn.seed + number
    learn.phase_title = f"{number + 1}{f'/{plan.total}' if plan.total else ''} {phase.name}"
    if phase.rows is not None and isinstance(loaders[0], BucketDL):
        learn.dls.loaders = [loaders[0].some_rows(phase.rows, learn.seed), *loaders[1:]]
    if hasattr(learn, "cache"):
        learn.cache.ahead = [first - 1 for first in plan.freeze_to if first > 1]
    try:
        with no_random(seed) if seed is not None else nullcontext():
            yield
    finally:
        learn.phase_title, learn.dls.loaders = "", loaders
        if hasattr(learn, "cache"):
            learn.cache.ahead = []


def _train(
    learn: Any, phase: Phase, number: int, cbs: Any, more_cbs: Sequence = (), seconds: float | None = None
) -> dict:
    """Train one phase; its row of the ladder."""
    if learn.seed is not None:
        learn.dls.train.seed(learn.seed + number)
    kept = moments(learn, dict(learn.model.named_parameters()))
    learn.freeze_to(phase.freeze_to)  # which forgets them, of layers that go on training too
    set_moments(learn, kept)
    start = time.perf_counter()
    learn.fit(phase.epochs, cbs=[Rates(phase, len(learn.splitter(learn.model)), seconds), *more_cbs, *(cbs or [])])
    row = {"phase": phase.name, "trainable": sum(p.numel() for p in learn.model.parameters() if p.requires_grad)}
    row |= {"rows": learn.dls.train.n, "epochs": len(learn.recorder.values), "lr": phase.lr}
    row["seconds"] = time.perf_counter() - start
    return row | {name: float(value) for name, value in learn.recorder.final.items()}


BACKWARD = 3  # forward passes that a training step takes, its own counted
SHARES = (1, 0.8, 0.6, 0.45, 0.3, 0.2, 0.1)  # of the rows, that a budget may leave


def goes_on(done: Sequence[dict], planned: int) -> bool:
    """Whether the ladder goes on: no rung was undone and, past the planned ones, the last gain was beyond chance."""
    return all(row["kept"] for row in done) and (len(done) < planned or done[-1]["low"] > 0)


class Cost:
    """What rungs will take, in seconds, from the time that the frozen part takes for a few rows.

    Args:
        learn: a `GradualLearner`.

    Attributes:
        factor: what trained rungs took over what was expected of them.
    """

    def __init__(self, learn: Any):
        self.n_layers, train, valid = learn.model.encoder.n_layers, learn.dls.train.rows[0], learn.dls.valid.rows[0]
        self.rows, self.factor = len(train.sizes), 1.0
        self.tokens, self.valid_tokens = train.lengths.sum() / self.rows, valid.lengths.sum()
        x = train.gather(range(min(64, len(train))), fill=PAD).long().to(next(learn.model.parameters()).device)
        for _ in range(2):  # the first time loads what the second only runs
            start = time.perf_counter()
            learn.model.states(x, self.n_layers)[0, 0, 0].item()  # which waits for a GPU
        self.rate = (time.perf_counter() - start) / (x.numel() * self.n_layers)  # of a layer over a token

    def of(self, phase: Phase, rows: int, built: int) -> float:
        """Seconds of a phase on so many rows; the states below it of `built` rows are there."""
        tokens = rows * phase.epochs * self.tokens
        training = self.rate * self._layers(phase) * self.factor * BACKWARD * tokens
        return training + self.beside_training(phase, rows, built)

    def beside_training(self, phase: Phase, rows: int, built: int) -> float:
        """The seconds of a phase in which nothing is trained: computing the states below, and validation."""
        layers = self._layers(phase)
        if not layers:  # of the head: all states once
            return self.rate * self.n_layers * (rows * self.tokens + self.valid_tokens)
        missing = max(0, rows - built) * self.tokens
        return self.rate * (phase.epochs * layers * self.valid_tokens + (self.n_layers - layers) * missing)

    def _layers(self, phase: Phase) -> int:
        return self.n_layers + 1 - max(1, phase.freeze_to)

    def learn_from(self, phase: Phase, rows: int, built: int, seconds: float) -> None:
        """Correct what training is expected to take by what a phase took."""
        if phase.freeze_to <= self.n_layers:
            self.factor *= max(0.2, min(5.0, seconds / self.of(phase, rows, built)))


class Adaptive:
    """A plan that climbs while validation rows gain: each rung deeper, and undone where it did harm.

    Args:
        learn: a `GradualLearner`.
        budget: seconds that all of it may take; None for as long as it is worth it.
    Raises:
        ValueError: no validation rows, or all of one class: nothing to decide by.
    """

    total = None

    def __init__(self, learn: Any, budget: float | None = None):
        self.learn, self.budget, self.begun, self.seconds, self.built = learn, budget, time.perf_counter(), None, 0
        self.groups = learn.splitter(learn.model)
        self.rungs = rungs_of(len(self.groups), learn.schedule)
        self.planned = len(gradual_unfreezing(len(self.groups), **learn.schedule))
        self.parts, self.freeze_to = ["auto", budget, *self.rungs], sorted({rung.freeze_to for rung in self.rungs})
        target = learn.text_dls.target
        if not len(learn.dls.valid_ds):
            raise ValueError("phases='auto' decides by validation rows, and there are none; give valid=0.15, say")
        codes = learn.dls.valid.rows[1]
        if not target.is_number and not target.is_multilabel and len(codes.unique()) == 1:
            name = target.names[int(codes[0])]
            raise ValueError(f"phases='auto' decides by validation rows, and all {len(codes):,} are of {name!r}")
        self.known = RowScores(target)  # of the best rung
        self.cost = Cost(learn)

    def next(self, done: list[dict]) -> Phase | None:
        """The phase after these rungs; None at the end, and a line says why."""
        self.begun = min(self.begun, time.perf_counter() - sum(row["seconds"] for row in done))  # of a resumed run too
        if done and not self.known.parts:
            self.learn.validate(cbs=[self.known])
        if len(done) == len(self.rungs) or not goes_on(done, self.planned):
            return None
        self.built = max((row["rows"] for row in done), default=0)
        rung, left = self.rungs[len(done)], self._left()
        phase = self._affordable(rung, left if done else 0.4 * left)  # the head alone is the least of it
        if phase is None and done:
            seconds = self.cost.of(rung, self.cost.rows, self.built)
            say(f"{rung.name}: about {seconds:.0f} s, and {max(0.0, left):.0f} s of the budget are left: it ends here")
            return None
        phase = phase or replace(rung, rows=max(1, int(SHARES[-1] * self.cost.rows)))
        rows = min(self.cost.rows, phase.rows or self.cost.rows)
        fewer = f", on {rows:,} of {self.cost.rows:,} rows" if rows < self.cost.rows else ""
        say(f"{phase.name}: about {min(left, self.cost.of(phase, rows, self.built)):.0f} s{fewer}")
        trains = left - self.cost.beside_training(phase, rows, self.built)
        self.seconds = None if self.budget is None else max(1.0, trains)
        return phase

    def _left(self) -> float:
        return float("inf") if self.budget is None else self.budget - (time.perf_counter() - self.begun)

    def _affordable(self, rung: Phase, seconds: float) -> Phase | None:
        """The rung within so many seconds: of fewer epochs, then of fewer rows; None where these would be too few.

        An epoch is added where half of it fits, for training ends in time by itself (`Rates`): most of two epochs is
        better than one, and what is known of the cost is not exact.
        """
        most = min(self.cost.rows, rung.rows or self.cost.rows)
        for epochs in range(rung.epochs, 1, -1):
            less, phase = replace(rung, epochs=epochs - 1), replace(rung, epochs=epochs)
            if sum(self.cost.of(one, most, self.built) for one in (less, phase)) / 2 <= seconds:
                return phase
        for share in SHARES:
            phase, rows = replace(rung, epochs=1), max(1, int(share * most))
            if self.cost.of(phase, rows, self.built) <= seconds:
                return phase if share == 1 else replace(phase, rows=rows)
        return None

    def run(self, phase: Phase, train: Callable[..., dict]) -> dict:
        """Train the rung; its row, with what it gained, and whether it was kept."""
        before, watch = kept_weights(p for group in self.groups[phase.freeze_to :] for p in group), self.known.anew()
        row = {"phase": phase.name, "rows": phase.rows or self.cost.rows, "epochs": 0, "lr": phase.lr, "seconds": 0.0}
        row |= {"gain": 0.0, "low": 0.0, "high": 0.0, "kept": True}
        try:
            row |= train([watch], self.seconds)
        except TrainingDiverged as err:
            if not self.known.parts:
                raise
            say(str(err))
            row["kept"] = False
        self.cost.learn_from(phase, row["rows"], self.built, row["seconds"])
        if row["kept"] and self.known.parts:
            row |= difference(watch.scores, self.known.scores)
            row["kept"] = row["gain"] >= 0
            undone = "" if row["kept"] else ": undone"
            if undone:  # what is said of the model is of the weights that it has
                self.learn.history.fits.pop()
            say(f"{phase.name}: {row['gain']:+.1f} points (95 %: {row['low']:.1f} to {row['high']:.1f}){undone}")
        if row["kept"]:
            self.known = watch
        else:
            bring_back(before)
        return row
