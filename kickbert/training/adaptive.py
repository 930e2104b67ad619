"""The plan of `fit_gradual("auto")`: deeper phases while validation scores improve, within a time budget."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kickbert.text.tokenization import PAD
from kickbert.training.guard import TrainingDiverged, restore, snapshot
from kickbert.training.ladder import train_phase
from kickbert.training.row_scores import RowScores, paired_gain
from kickbert.training.schedule import Phase
from kickbert.utils.progress import say

if TYPE_CHECKING:
    from kickbert.training.learner import GradualLearner

STEP = 3  # a training step of a layer costs as much as three forward passes
SIDE = 0.3  # cost of the side network in layers of a small encoder


def goes_on(ladder: Sequence[dict], planned: int) -> bool:
    """Tell whether another phase is worth it: after the `planned` ones, if the last gain is significant."""
    return len(ladder) < planned or (ladder[-1]["kept"] and ladder[-1]["low"] > 0)


class Adaptive:
    """A plan that adds deeper phases while validation scores improve; a phase that makes them worse is undone.

    Args:
        learn: the learner.
        budget: maximum total time in seconds; None for no limit.

    Raises:
        ValueError: there are no validation rows, or all have the same class.
    """

    total: int | None = None

    def __init__(self, learn: "GradualLearner", budget: float | None = None):
        target = learn.text_dls.target
        if not len(learn.dls.valid_ds):
            raise ValueError("phases='auto' needs validation rows, and there are none. Pass valid=0.15, for example")
        codes = learn.dls.valid.rows[1]
        if not target.is_number and not target.is_multilabel and len(codes.unique()) == 1:
            name = target.names[int(codes[0])]
            raise ValueError(f"phases='auto' compares validation rows, and all {len(codes):,} have the label {name!r}")
        self.learn = learn
        self.budget = budget
        self.start = time.perf_counter()
        self.n_groups = len(learn.splitter(learn.model))
        self.phases = learn.phases("auto")
        self.planned = len(learn.phases("balanced")) + any(phase.side for phase in self.phases)
        self.parts = ["auto", budget, *self.phases]
        self.freeze_to = sorted({phase.freeze_to for phase in self.phases})
        self.best = RowScores(target)
        self.forward_seconds = self._time_forward()

    def next(self, ladder: list[dict]) -> Phase | None:
        """Return the next phase; None at the end, with a message if the budget is the reason."""
        self.start = min(self.start, time.perf_counter() - sum(row["seconds"] for row in ladder))  # of a resumed run
        if ladder and not self.best.parts:
            self.learn.validate(cbs=[self.best])
        if len(ladder) == len(self.phases) or not goes_on(ladder, self.planned):
            return None
        phase = self.phases[len(ladder)]
        seconds = self.expected_seconds(phase, ladder)
        left = float("inf") if self.budget is None else max(0.0, self.start + self.budget - time.perf_counter())
        if ladder and seconds > left:
            say(f"stopping: {phase.name} needs about {seconds:.0f} s, {left:.0f} s are left")
            return None
        say(f"{phase.name}: about {min(seconds, left):.0f} s")
        return phase

    def expected_seconds(self, phase: Phase, ladder: list[dict]) -> float:
        """Estimate the time of a phase from phases that trained layers, or else from the time of a forward pass."""
        done = [(row["seconds"], p) for row, p in zip(ladder, self.phases, strict=False)]
        trained = [(seconds, self._passes(p)) for seconds, p in done if seconds and p.freeze_to < self.n_groups - 1]
        if not trained:
            return self.forward_seconds * self._passes(phase)
        return self._passes(phase) * sum(s for s, _ in trained) / sum(passes for _, passes in trained)

    def _passes(self, phase: Phase) -> float:
        """Cost of a phase per row, in forward passes through a layer: 1 per frozen layer, `STEP` per trained epoch."""
        frozen = max(0, phase.freeze_to - 1)
        trained = SIDE if phase.side else self.n_groups - 2 - frozen
        rows = min(phase.rows or self.learn.dls.train.n, self.learn.dls.train.n)
        return rows * (frozen + STEP * phase.epochs * trained)

    def _time_forward(self) -> float:
        """Measure a forward pass, in seconds per row and layer."""
        rows = self.learn.dls.train.rows[0]
        model = self.learn.model
        x = rows.gather(range(min(64, len(rows))), fill=PAD).long().to(next(model.parameters()).device)
        for _ in range(2):  # the first time includes loading
            start = time.perf_counter()
            model.states(x, model.encoder.n_layers)[0, 0, 0].item()  # .item() waits for a GPU
        return (time.perf_counter() - start) / (len(x) * model.encoder.n_layers)

    def run(self, learn: "GradualLearner", phase: Phase, number: int, cbs: Any) -> dict:
        """Train a phase and return its row of the ladder: its gain over the previous one, and whether it was kept."""
        before = snapshot(p for group in learn.splitter(learn.model)[phase.freeze_to :] for p in group)
        side = learn.model.head.side
        scores = self.best.fresh()
        deadline = None if self.budget is None else self.start + self.budget
        row: dict[str, Any] = {"phase": phase.name, "rows": phase.rows or learn.dls.train.n, "epochs": 0}
        row |= {"lr": phase.lr, "seconds": 0.0, "gain": 0.0, "low": 0.0, "high": 0.0, "kept": True}
        try:
            row |= train_phase(learn, phase, number, [scores, *(cbs or [])], deadline)
        except TrainingDiverged as err:
            if not self.best.parts:
                raise
            say(str(err))
            row["kept"] = False
        if row["kept"] and self.best.parts:
            row |= paired_gain(scores.scores, self.best.scores)
            row["kept"] = row["gain"] >= 0
            if not row["kept"]:  # the history describes the weights that the model has
                learn.history.fits.pop()
            undone = "" if row["kept"] else ": undone"
            say(f"{phase.name}: {row['gain']:+.1f} points (95% interval {row['low']:.1f} to {row['high']:.1f}){undone}")
        if row["kept"]:
            self.best = scores
        else:
            if learn.model.head.side is not side:
                learn.use_side(side or False)
            restore(before)
        return row
