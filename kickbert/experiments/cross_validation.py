"""k-fold cross-validation of a whole recipe.

df, recipe → folds → a learner for each, all reading one cache → each row judged by a model that never saw it
"""

import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.torch_core import default_device

from kickbert import __version__
from kickbert.cache.storage import Cache
from kickbert.data.rows import usable_rows
from kickbert.data.splits import TEST, fold_assignments
from kickbert.evaluation.evaluation import scores_of
from kickbert.evaluation.predictions import Predictions
from kickbert.targets.fitting import TargetOptions
from kickbert.targets.kinds import MULTI, REGRESSION, Bins, Target
from kickbert.text.columns import TextOptions, as_list
from kickbert.training.checkpoint import first_states
from kickbert.training.factories import learner_from_df
from kickbert.utils.atomic_files import replacing
from kickbert.utils.hardware import choose_precision
from kickbert.utils.hashing import Unidentifiable, file_digest, fingerprint
from kickbert.utils.hub import resolve
from kickbert.utils.messages import shorten
from kickbert.utils.progress import bar

PART = "part of the fold"


@dataclass(frozen=True, repr=False)
class CrossValidation:
    """What came of the folds.

    Args:
        folds: a row per fold and repeat: its scores, and the seconds it took.
        predictions: of all rows with text and label, in the order of df, each by a model that never saw it; of repeats
            the mean of the probabilities and the first decision.
        probs: the probabilities as a DataFrame indexed like df; NaN where there is no text or no label.
    """

    folds: pd.DataFrame
    predictions: Predictions
    probs: pd.DataFrame

    def summary(self) -> pd.DataFrame:
        """Mean and standard deviation over folds, by score."""
        scores = self.folds.drop(columns=["repeat", "fold"])
        return pd.DataFrame({"mean": scores.mean(), "std": scores.std()}).rename_axis("score").reset_index()

    def __repr__(self) -> str:
        return self.summary().to_string(index=False, float_format="{:,.3f}".format)

    def _repr_html_(self) -> str:
        return self.summary().to_html(index=False, float_format="{:,.3f}".format)


def fit_gradual(learn: Any) -> None:
    """How a fold is trained, unless you say otherwise."""
    learn.fit_gradual()


@dataclass(frozen=True)
class FoldAssignment:
    """The rows of a cross-validation and how they are dealt.

    Args:
        rows: with text and label, numbered anew.
        usable: which of the given rows these are.
        target: what is predicted, learnt from all of them, so that all folds speak of the same classes.
        parts: of each fold.
        recipe: arguments of `learner_from_df`, buckets given by their edges.
        truth: codes of the target.
    """

    rows: pd.DataFrame
    usable: np.ndarray
    target: Target
    parts: list[np.ndarray]
    recipe: dict
    truth: np.ndarray


def cross_validate(
    df: pd.DataFrame,
    *,
    folds: int = 5,
    repeats: int = 1,
    group_col: str | None = None,
    valid: float = 0.1,
    fit: Callable[[Any], Any] = fit_gradual,
    seed: int = 42,
    folder: str | Path | None = None,
    name: str | None = None,
    cache: Cache | None = None,
    **recipe: Any,
) -> CrossValidation:
    """Evaluate a recipe by as many models as there are folds, each on the rows that it never saw.

    Args:
        df: the rows; never changed.
        folds: how many, at least 2, stratified by the target.
        repeats: how often the rows are dealt anew.
        group_col: rows of one group (a customer, an author) stay in one fold.
        valid: share of the rows outside a fold that validate, for whatever training chooses by them.
        fit: trains a learner.
        seed: of the folds and of training.
        folder: where each fold is kept once it is done; the same call goes on after a kill. A fold is found again by
            all that it depends on: rows, recipe, `fit` with what it reads, the files of a model's folder, the seed.
        name: stands for arguments of which it cannot be told whether they are the same in another process, such as an
            object with an open file: give another one whenever you change them.
        cache: where the frozen part is kept; by default one place for all folds.
        recipe: arguments of `learner_from_df`.
    Returns:
        Scores by fold, and out-of-fold predictions.
    Raises:
        ValueError: more folds than rows, a column that is not there, or a folder and an argument that needs `name`.
    """
    given = assign_folds(df, recipe, folds, repeats, group_col, valid, seed)
    kept = None if folder is None else _subfolder(folder, given, fit, seed, name)
    how = given.recipe | {"seed": seed, "cache": cache or Cache()}
    found = []
    for number in bar(range(len(given.parts)), "folds"):
        file = None if kept is None else kept / f"fold-{number}.npz"
        if file is None or not file.exists():
            result = _fold(given, number, how, fit)
            if file is not None:
                with replacing(file) as part, part.open("wb") as out:
                    np.savez(out, **result)
        found.append(result if file is None else dict(np.load(file)))
    return _together(given, found, folds, df.index)


def assign_folds(
    df: pd.DataFrame, recipe: dict, folds: int, repeats: int, group_col: str | None, valid: float, seed: int
) -> FoldAssignment:
    """Rows that can be used, the target of all of them, and the part of each row in each fold."""
    names = ("bins", "bin_format", "label_delim", "task", "labels", "decimal")
    column = TargetOptions(recipe.get("label_col", "label"), **{name: recipe.get(name) for name in names})
    found = usable_rows(df, TextOptions(recipe.get("text_col", "text")), column, group_col=group_col)
    rows, values = found.df.reset_index(drop=True), found.values.reset_index(drop=True)
    target = column.fit(values, found.task)
    if isinstance(target, Bins):
        recipe = recipe | {"bins": list(target.edges)}
    groups = None if group_col is None else rows[group_col].to_numpy()
    parts = fold_assignments(column.strata(values, found.task), groups, folds, repeats, valid, seed)
    return FoldAssignment(rows, found.mask, target, parts, recipe | {"task": found.task}, target.encode(values))


def _subfolder(folder: str | Path, assignment: FoldAssignment, fit: Callable, seed: int, name: str | None) -> Path:
    """Where folds are kept: named by what they depend on, the rows, how they are dealt, the recipe, the training.

    Args:
        name: stands for what cannot be told for certain.
    """
    recipe = {"model": "roberta-base", "precision": "auto", "text_col": "text", "label_col": "label"}
    recipe |= assignment.recipe | {"fit": fit}
    columns = dict.fromkeys([*as_list(recipe["text_col"]), *as_list(recipe["label_col"])])
    recipe["precision"] = choose_precision(recipe["precision"], default_device())  # a shared folder, other hardware
    recipe["model"] = _content(recipe["model"])
    recipe.pop("path", None)  # it says where checkpoints go, which no fold depends on
    prints = {"rows": fingerprint(assignment.rows[list(columns)], assignment.parts)}
    for argument, value in recipe.items():
        try:
            prints[argument] = fingerprint(first_states(value) if argument in ("cbs", "metrics") else value)
        except Unidentifiable as err:
            if name is None:
                raise ValueError(
                    f"folder={str(folder)!r} keeps folds by all that they depend on, and of {argument}="
                    f"{shorten(repr(value), 60)} that cannot be told for certain: {err}; give name='...', which stands "
                    "for it and which you change with it, or no folder"
                ) from err
    return Path(folder) / fingerprint(__version__, seed, name, sorted(prints.items()))


def _content(model: str | Path) -> Any:
    """A model's folder as the digests of its files, which may be written anew; a hub id as it is."""
    folder = Path(resolve(model))
    files = [file for file in (*folder.glob("*"), *folder.glob("1_Pooling/*")) if file.is_file()]
    return {str(file.relative_to(folder)): file_digest(file) for file in sorted(files)} or str(model)


def _fold(given: FoldAssignment, number: int, recipe: dict, fit: Callable) -> dict[str, np.ndarray]:
    """Train on the fold's own rows and predict the others, in terms of all rows' classes."""
    start, part = time.perf_counter(), given.parts[number]
    with redirect_stdout(StringIO()):  # a line per epoch of each fold is no news
        learn = learner_from_df(given.rows.assign(**{PART: part}), **recipe, valid=PART)
        fit(learn)
        dl = learn.dls.test_dl(given.rows[part == TEST])
        probs, _, decided = learn.get_preds(dl=dl, with_decoded=True)
    own, target = learn.dls.target, given.target
    probs, decided = aligned(own, target, probs.double().numpy(), decided.numpy())
    return {"probs": probs, "decided": decided, "seconds": np.array(time.perf_counter() - start)}


def aligned(own: Target, target: Target, probs: np.ndarray, decided: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predictions in terms of another target: its classes, which may be more, or its scale."""
    if target.task == REGRESSION:
        numbers = target.standardize(own.inverse_transform(probs.reshape(-1))).astype(float).reshape(-1, 1)
        return numbers, numbers
    places = np.array([target.classes.index(c) for c in own.classes])
    wide = np.zeros((len(probs), len(target.classes)))
    wide[:, places] = probs
    if target.task != MULTI:
        return wide, places[decided]
    said = np.zeros(wide.shape, dtype=np.float32)
    said[:, places] = decided
    return wide, said


def _together(given: FoldAssignment, found: list[dict], folds: int, index: pd.Index) -> CrossValidation:
    """All folds' answers in the order of the rows."""
    n, target = len(given.rows), given.target
    sums, rows = np.zeros((n, len(target.names))), []
    decided = np.zeros_like(given.truth if target.task != REGRESSION else sums)
    for number, (part, one) in enumerate(zip(given.parts, found, strict=True)):
        test = part == TEST
        sums[test] += one["probs"]
        if number < folds:
            decided[test] = one["decided"]
        judged = Predictions(target, one["probs"], one["decided"], given.truth[test])
        scores = scores_of(judged)(np.ones(len(judged)))
        rows.append({"repeat": number // folds, "fold": number % folds} | scores | {"seconds": float(one["seconds"])})
    probs = sums / (len(found) // folds)
    if target.task == REGRESSION:
        decided = probs
    predictions = Predictions(target, probs, decided, given.truth, df=given.rows.set_axis(index[given.usable]))
    frame = target.frame(probs, decided, index[given.usable]).reindex(index)
    return CrossValidation(pd.DataFrame(rows), predictions, frame)
