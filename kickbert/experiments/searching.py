"""Search for a better recipe with Optuna: many trials on one cache, most of them ended on a low rung of the ladder.

df, space → trials, judged on validation rows after each rung (successive halving) → the best → set beside the default
recipe on rows that the search never saw
"""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from fastai.callback.core import Callback, CancelFitException
from fastai.learner import Recorder

from kickbert.cache.storage import Cache
from kickbert.data.splits import TEST
from kickbert.evaluation.predictions import Predictions
from kickbert.experiments.cross_validation import FoldAssignment, assign_folds, experiment_key, train_fold
from kickbert.experiments.search_results import Search, check, conclusion, importances_of, trials_frame
from kickbert.experiments.search_space import Space, check_space, default_space, recipe_at, suggest
from kickbert.text.columns import read_texts
from kickbert.training.guard import TrainingDiverged
from kickbert.training.schedule import gradual_unfreezing
from kickbert.utils.atomic_files import exclusive, replacing
from kickbert.utils.extras import require
from kickbert.utils.messages import seconds
from kickbert.utils.progress import bar

FACTOR = 3  # one in so many trials climbs from a rung to the next


class Rungs(Callback):
    """Report a trial's score after each phase, and end the training where successive halving does not let it climb.

    The step that goes on across phases is `FACTOR` to the power of the rung: the resource of successive halving. Optuna
    keeps the first value of a step alone, so epochs, which start again in each phase, would not do.

    Args:
        trial: of Optuna; None to keep the score only.
        rungs: number of phases.
    """

    order = Recorder.order + 1

    def __init__(self, trial: Any, rungs: int):
        super().__init__()
        self.trial, self.rungs, self.rung, self.score = trial, rungs, 0, float("nan")

    def after_epoch(self):
        if self.epoch < self.n_epoch - 1:
            return
        metric = self.dls.target.shown_scores[0]
        values = self.recorder.computed[-1]
        if metric not in values:
            raise ValueError(f"a search judges by {metric!r}, which is not among the metrics {list(values)}")
        self.score = float(values[metric])
        self.rung += 1
        if self.trial is None:
            return
        self.trial.report(self.score, FACTOR ** (self.rung - 1))
        if self.rung < self.rungs and self.trial.should_prune():
            from optuna import TrialPruned

            self.learn.guard.error = TrialPruned(f"ended on rung {self.rung} of {self.rungs}")
            raise CancelFitException("pruned")  # `fit` raises the error when fastai has cleaned up


def search(
    df: pd.DataFrame,
    space: Space | None = None,
    *,
    trials: int = 20,
    budget: str | float = "20 min",
    folder: str | Path | None = None,
    test: float = 0.2,
    valid: float = 0.15,
    group_col: str | None = None,
    seed: int = 42,
    name: str | None = None,
    cache: Cache | None = None,
    **recipe: Any,
) -> Search:
    """Search for a better recipe than the default, and tell whether what was found is better.

    Args:
        df: the rows; never changed.
        space: what is searched: by name a list of values, or a range (low, high) or (low, high, "log"). Names are
            arguments of `learner_from_df`, and of the schedule `depth` (layers of the last rung), `epochs` (there),
            `head_lr`, `lr` (of all others), `decay`, `warmup`, `shape`. None for `search_space.default_space`.
        trials: how many, those of earlier calls on the same folder and of other processes on it included.
        budget: after this time no further trial begins: "20 min", "90 s", "2 h", or seconds.
        folder: where trials are kept, in SQLite; the same call goes on after a kill, and several processes that make
            it at once share the trials. A search is found again by rows, recipe, space, seed and version.
        test: share of the rows that no trial sees (one in a whole number): on them the best recipe is set beside the
            default.
        valid: share of the others that trials are judged on.
        group_col: rows of one group stay in one part.
        seed: of the parts, of training and of the search.
        name: as in `cross_validate`.
        cache: where the frozen part is kept; by default one place for all trials.
        recipe: arguments of `learner_from_df` that all trials share, and the default recipe has.
    Returns:
        Trials, the check against the default recipe, and the best recipe.
    Raises:
        ValueError: an unknown name in the space, with the nearest, values that are none, or no time.
        ImportError: Optuna is not installed.
        OSError: the trials could not be written; those that were are kept.
    """
    require("optuna", extra="search")
    deadline = time.monotonic() + seconds(budget)
    if trials < 1 or not 0 < test <= 0.5:
        raise ValueError(f"trials={trials} must be at least 1, and test={test} above 0 and at most 0.5")
    assignment = assign_folds(df, recipe, round(1 / test), 1, group_col, valid, seed)
    if space is None:
        texts, _ = read_texts(assignment.rows, recipe.get("text_col", "text"), None)
        space = default_space(texts, assignment.y_true, assignment.target, recipe)
    check_space(space)
    with _home(folder, assignment, seed, name, space) as (home, storage):
        options = {"path": home, **assignment.recipe, "seed": seed, "cache": cache or Cache()}
        runs = _Runs(assignment, options, home, space)
        default = runs.get("default", options)
        with _silent():
            study = _study(storage, home.name)
            for _ in bar(range(trials - _finished(study)), "trials"):
                if time.monotonic() > deadline or _finished(study) >= trials:
                    break
                study.optimize(runs.trial, n_trials=1, gc_after_trial=True)
            return _result(study, runs, default, recipe)


class _Runs:
    """Trains recipes on the search's rows and keeps what they predict on the rows that it never sees.

    Args:
        assignment: of which the first fold's test rows are left untouched.
        options: arguments of `learner_from_df`.
        home: where predictions are kept.
    """

    def __init__(self, assignment: FoldAssignment, options: dict, home: Path, space: Space):
        self.assignment, self.options, self.home, self.space = assignment, options, home, space

    def trial(self, trial: Any) -> float:
        """The objective: the score of the point that a trial chooses."""
        import optuna

        # By its number, so that neither a resumed search nor another process draws the same points again.
        trial.study.sampler = optuna.samplers.TPESampler(seed=self.options["seed"] + trial.number, n_startup_trials=6)
        recipe = recipe_at(suggest(trial, self.space), self.options)
        try:
            return self._train(self.home / f"trial-{trial.number}.npz", recipe, trial)
        except TrainingDiverged as err:
            raise optuna.TrialPruned(str(err)) from err

    def _train(self, file: Path, recipe: dict, trial: Any = None) -> float:
        rungs: list[Rungs] = []
        result = train_fold(self.assignment, 0, recipe, self._fit(rungs, trial))
        with replacing(file) as part, part.open("wb") as out:
            np.savez(out, **result, score=rungs[0].score)  # type: ignore[arg-type]
        return rungs[0].score

    def get(self, name: str, recipe: dict) -> dict[str, Any]:
        """A recipe's predictions on the untouched rows and score on the validation rows: those kept, else made now."""
        file = self.home / f"{name}.npz"
        if not file.exists():
            self._train(file, recipe)
        with np.load(file) as kept:
            return {key: kept[key] if kept[key].ndim else float(kept[key]) for key in kept}

    @staticmethod
    def _fit(rungs: list[Rungs], trial: Any) -> Callable[[Any], None]:
        def fit(learn: Any) -> None:
            phases = gradual_unfreezing(len(learn.groups), **learn.schedule)
            rungs.append(Rungs(trial, len(phases)))
            learn.fit_gradual(phases, cbs=rungs)

        return fit

    def predictions(self, result: dict[str, Any]) -> Predictions:
        """A run's predictions beside the true labels."""
        y_true = self.assignment.y_true[self.assignment.parts[0] == TEST]
        y_pred = result["probs"] if self.assignment.target.is_number else result["y_pred"]
        return Predictions(self.assignment.target, result["probs"], y_pred, y_true)


@contextmanager
def _home(
    folder: str | Path | None, assignment: FoldAssignment, seed: int, name: str | None, space: Space
) -> Iterator[tuple[Path, Path | None]]:
    """Where the search's files are, and the data base; without a folder one that goes away, and none."""
    if folder is None:
        with TemporaryDirectory(prefix="kickbert-") as scratch:
            yield Path(scratch), None
        return
    home = Path(folder) / experiment_key(assignment, seed, name, space=dict(space))
    home.mkdir(parents=True, exist_ok=True)
    file = Path(folder) / "search.db"
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DatabaseError

    try:
        yield home, file
    except (StorageInternalError, DatabaseError) as err:
        reason = str(err.__cause__ or err).partition("\n")[0]
        raise OSError(
            f"the trials could not be written to {file} ({reason}); make room there and call again: those that were "
            "written are kept"
        ) from err


def _study(storage: Path | None, name: str) -> Any:
    """Optuna's study of that name."""
    import optuna

    waiting = {"connect_args": {"timeout": 60}}  # for another process that writes
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=FACTOR)
    study = partial(optuna.create_study, study_name=name, load_if_exists=True, direction="maximize", pruner=pruner)
    if storage is None:
        return study()
    with exclusive(storage, wait=60):  # two processes that make the tables at once get in each other's way
        url = f"sqlite:///{storage}"
        # A process that was killed leaves its trial running; without a sign of life it counts as failed.
        return study(storage=optuna.storages.RDBStorage(url, waiting, heartbeat_interval=60, grace_period=180))


@contextmanager
def _silent() -> Iterator[None]:
    """Let trials neither log nor warn: a pruned trial is no news, and the default recipe has warned of the rows."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _finished(study: Any) -> int:
    return sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in study.get_trials(deepcopy=False))


def _result(study: Any, runs: _Runs, default: dict[str, Any], recipe: dict[str, Any]) -> Search:
    finished = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    complete = [trial for trial in finished if trial.state.name == "COMPLETE"]
    best = max(complete, key=lambda trial: trial.value, default=None)
    point: dict[str, Any] | None = None
    kept = default
    if best is not None and best.value > default["score"]:
        point = _point(best, runs.space)
        kept = runs.get(f"trial-{best.number}", recipe_at(point, runs.options))
    table = check(runs.predictions(kept), runs.predictions(default))
    chosen = dict(recipe) if point is None else recipe_at(point, recipe)
    outcome = conclusion(table, point is None, len(finished))
    return Search(trials_frame(finished), table, chosen, default["score"], importances_of(study, complete), outcome)


def _point(trial: Any, space: Space) -> dict[str, Any]:
    """The point that a finished trial chose, its values as the space has them."""
    import optuna

    return suggest(optuna.trial.FixedTrial(trial.params), space)
