"""Hyperparameter search with Optuna: many trials with a shared cache, most of them pruned after an early phase.

df, space → trials, scored on validation rows after each phase (successive halving) → the best trial → a comparison with
the default recipe on test rows that the search did not use
"""

import time
import warnings
from collections.abc import Iterator
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
from kickbert.utils.atomic_files import exclusive, replacing
from kickbert.utils.extras import require
from kickbert.utils.messages import seconds
from kickbert.utils.progress import bar

FACTOR = 3  # one of this many trials continues to the next phase


class PhaseScores(Callback):
    """Report the score of a trial after each phase, and stop training if successive halving prunes the trial.

    The resource of successive halving is `FACTOR` to the power of the phase number. It increases across phases, unlike
    epochs, which restart in each phase: Optuna keeps only the first value of a step.

    Args:
        trial: Optuna trial; None to record only the score.
        phases: number of phases; `fit` sets it.
    """

    order = Recorder.order + 1

    def __init__(self, trial: Any, phases: int = 0):
        super().__init__()
        self.trial, self.phases, self.phase, self.score = trial, phases, 0, float("nan")

    def fit(self, learn: Any) -> None:
        """Train a learner with the schedule of its recipe."""
        plan = learn.phases("balanced")
        self.phases = len(plan)
        learn.fit_gradual(plan, cbs=[self])

    def after_epoch(self):
        if self.epoch < self.n_epoch - 1:
            return
        metric = self.dls.target.shown_scores[0]
        values = self.recorder.computed[-1]
        if metric not in values:
            raise ValueError(f"the search needs the metric {metric!r}. Metrics of the learner: {', '.join(values)}")
        self.score = float(values[metric])
        self.phase += 1
        if self.trial is None:
            return
        self.trial.report(self.score, FACTOR ** (self.phase - 1))
        if self.phase < self.phases and self.trial.should_prune():
            from optuna import TrialPruned

            self.learn.guard.error = TrialPruned(f"pruned after phase {self.phase} of {self.phases}")
            raise CancelFitException("pruned")  # `fit` raises the error after fastai has cleaned up


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
    """Search for a better recipe than the default, and test whether the best one is significantly better.

    Args:
        df: labeled rows; not modified.
        space: hyperparameters to search: a dict from names to a list of values or a range, (low, high) or (low, high,
            "log"). Names are arguments of `learner_from_df` and hyperparameters of the schedule: `depth` (layers in the
            last phase), `epochs` (of the last phase), `head_lr`, `lr` (of the other phases), `decay`, `warmup` and
            `shape`. None for `search_space.default_space`.
        trials: total number of trials, including those of earlier calls and other processes with the same folder.
        budget: time after which no new trial starts: "20 min", "90 s", "2 h", or seconds.
        folder: folder of the SQLite database of trials. The same call resumes after an interruption, and several
            processes can share a search. A search is reused only if rows, recipe, space, seed and version are the same.
        test: share of test rows (1 divided by an integer), which no trial uses. The best and the default recipe are
            compared on them.
        valid: share of the remaining rows used to score trials.
        group_col: column of groups; rows of the same group stay in the same part.
        seed: seed for the split, training and the search.
        name: see `cross_validate`.
        cache: cache for the states of the frozen layers; by default all trials share one.
        recipe: arguments of `learner_from_df` for all trials and the default recipe.
    Returns:
        The trials, the comparison with the default recipe, and the best recipe.
    Raises:
        ValueError: an invalid space, number of trials, share or budget.
        ImportError: Optuna is not installed.
        OSError: the trials could not be written; earlier trials are kept.
    """
    require("optuna", extra="search")
    deadline = time.monotonic() + seconds(budget)
    if trials < 1 or not 0 < test <= 0.5:
        raise ValueError(f"trials={trials} must be at least 1, and test={test} must be above 0 and at most 0.5")
    assignment = assign_folds(df, recipe, round(1 / test), 1, group_col, valid, seed)
    recipe["model"] = assignment.recipe["model"]
    if space is None:
        texts, _ = read_texts(assignment.rows, assignment.texts.text_col, None)
        space = default_space(texts, assignment.y_true, assignment.target, recipe)
    check_space(space)
    with _home(folder, assignment, seed, name, space) as (home, storage):
        options = {"path": home, **assignment.recipe, "seed": seed, "cache": cache or Cache()}
        runs = _Runs(assignment, options, home, space)
        default = runs.get("default", options)
        with _silent():
            study = _study(storage, home.name)
            for _ in bar(range(trials - len(_finished(study))), "trials"):
                if time.monotonic() > deadline or len(_finished(study)) >= trials:
                    break
                study.optimize(runs.trial, n_trials=1, gc_after_trial=True)
            return _outcome(study, runs, default, recipe)


class _Runs:
    """Trains recipes and stores their predictions of the test rows.

    Args:
        assignment: rows and folds; only the first fold is used.
        options: arguments of `learner_from_df`.
        home: folder for predictions.
        space: search space.
    """

    def __init__(self, assignment: FoldAssignment, options: dict, home: Path, space: Space):
        self.assignment, self.options, self.home, self.space = assignment, options, home, space

    def trial(self, trial: Any) -> float:
        """Train the recipe that a trial chooses and return its score (the objective of the study)."""
        import optuna

        # The seed depends on the trial number, so that resumed searches and other processes draw different points.
        trial.study.sampler = optuna.samplers.TPESampler(seed=self.options["seed"] + trial.number, n_startup_trials=6)
        recipe = recipe_at(suggest(trial, self.space), self.options)
        try:
            return self._train(self.home / f"trial-{trial.number}.npz", recipe, trial)
        except TrainingDiverged as err:
            raise optuna.TrialPruned(str(err)) from err

    def _train(self, file: Path, recipe: dict, trial: Any = None) -> float:
        scores = PhaseScores(trial)
        result = train_fold(self.assignment, 0, recipe, scores.fit)
        with replacing(file) as part, part.open("wb") as out:
            np.savez(out, **result, score=scores.score)  # type: ignore[arg-type]
        return scores.score

    def get(self, name: str, recipe: dict) -> dict[str, Any]:
        """Load a recipe's test predictions and validation score from the folder; train the recipe if there are none."""
        file = self.home / f"{name}.npz"
        if not file.exists():
            self._train(file, recipe)
        with np.load(file) as saved:
            return {key: saved[key] if saved[key].ndim else float(saved[key]) for key in saved}

    def predictions(self, result: dict[str, Any]) -> Predictions:
        """Combine the predictions of a run with the true labels."""
        y_true = self.assignment.y_true[self.assignment.parts[0] == TEST]
        y_pred = result["probs"] if self.assignment.target.is_number else result["y_pred"]
        return Predictions(self.assignment.target, result["probs"], y_pred, y_true)


@contextmanager
def _home(
    folder: str | Path | None, assignment: FoldAssignment, seed: int, name: str | None, space: Space
) -> Iterator[tuple[Path, Path | None]]:
    """Yield the folder for predictions and the database file; without a folder, a temporary one and None."""
    if folder is None:
        with TemporaryDirectory(prefix="kickbert-") as scratch:
            yield Path(scratch), None
        return
    folder = Path(folder).expanduser()
    home = folder / experiment_key(assignment, seed, name, space=dict(space))
    home.mkdir(parents=True, exist_ok=True)
    file = folder / "search.db"
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DatabaseError

    try:
        yield home, file
    except (StorageInternalError, DatabaseError) as err:
        reason = str(err.__cause__ or err).partition("\n")[0]
        raise OSError(
            f"the trials could not be written to {file} ({reason}). Free disk space and call again; earlier trials "
            "are kept"
        ) from err


def _study(storage: Path | None, name: str) -> Any:
    """Create or load the Optuna study with this name."""
    import optuna

    waiting = {"connect_args": {"timeout": 60}}  # while another process writes
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=FACTOR)
    study = partial(optuna.create_study, study_name=name, load_if_exists=True, direction="maximize", pruner=pruner)
    if storage is None:
        return study()
    with exclusive(storage, wait=60):  # two processes must not create the tables at the same time
        url = f"sqlite:///{storage}"
        # A killed process leaves its trial in the state "running". Without a heartbeat, the trial counts as failed.
        return study(storage=optuna.storages.RDBStorage(url, waiting, heartbeat_interval=60, grace_period=180))


@contextmanager
def _silent() -> Iterator[None]:
    """Suppress logs and warnings of trials: pruning is normal, and the default recipe already warned about the rows."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _finished(study: Any) -> list[Any]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in ("COMPLETE", "PRUNED")]


def _outcome(study: Any, runs: _Runs, default: dict[str, Any], recipe: dict[str, Any]) -> Search:
    """Compare the default recipe with the best trial that was better on the validation rows, if there is one."""
    from optuna.trial import FixedTrial

    finished = _finished(study)
    better = [trial for trial in finished if trial.state.name == "COMPLETE" and trial.value > default["score"]]
    chosen, tested = dict(recipe), default
    if better:
        best = max(better, key=lambda trial: trial.value)
        point = suggest(FixedTrial(best.params), runs.space)
        chosen = recipe_at(point, recipe)
        tested = runs.get(f"trial-{best.number}", recipe_at(point, runs.options))
    table = check(runs.predictions(tested), runs.predictions(default))
    outcome = conclusion(table, not better, len(finished))
    return Search(trials_frame(finished), table, chosen, default["score"], importances_of(study), outcome)
