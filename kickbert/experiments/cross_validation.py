"""k-fold cross-validation of a recipe, the arguments of `learner_from_df`.

df, recipe → folds → a learner for each, all reading one cache → out-of-fold predictions → scores by fold
"""

import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from inspect import signature
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
from fastai.torch_core import default_device
from transformers import AutoConfig

from kickbert import __version__
from kickbert.cache.storage import Cache
from kickbert.data.rows import TextRows
from kickbert.data.splits import TEST, TRAIN, VALID, fold_assignments
from kickbert.data.transforms import model_tokenizer
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import all_scores, main_score
from kickbert.targets.base import Target
from kickbert.targets.bins import UnorderedBins
from kickbert.targets.options import TargetOptions
from kickbert.text.columns import as_list
from kickbert.training.checkpoint import first_states
from kickbert.training.factories import learner_from_df, learner_from_rows
from kickbert.training.fitting import fit_default
from kickbert.utils.atomic_files import replacing
from kickbert.utils.devices import choose_precision
from kickbert.utils.hashing import Unidentifiable, file_digest, fingerprint
from kickbert.utils.hub import load, resolve
from kickbert.utils.progress import bar, interactive, say

PART = "part of the fold"  # a column: train, valid or test
# Arguments of `learner_from_df` that say how texts and target are read; the first ones are needed for the model, too.
MODEL = ("model", "revision", "trust_remote_code")
READING = (*MODEL, "text_col", "cleaning", "tokenizer", "max_length", "long", "stride")
TARGET = ("label_col", "bins", "bin_format", "label_delim", "task", "labels", "decimal")


@dataclass(frozen=True, repr=False)
class CrossValidation:
    """Scores by fold, and out-of-fold predictions.

    Args:
        folds: a row per fold and repeat: its scores, and the seconds it took.
        predictions: of all rows with text and label, in the order of df, each by a model that was not trained on it; of
            repeats the mean of the probabilities and the first decision.
        probs: the predictions as a DataFrame indexed like df; NaN where there is no text or no label.
    """

    folds: pd.DataFrame
    predictions: Predictions
    probs: pd.DataFrame

    def summary(self) -> pd.DataFrame:
        """Mean and standard deviation over folds, by score."""
        scores = self.folds.drop(columns=["repeat", "fold"])
        return pd.DataFrame({"mean": scores.mean(), "std": scores.std()}).rename_axis("score").reset_index()

    def _shown(self) -> pd.DataFrame:
        names = self.predictions.target.shown_scores
        return self.summary().set_index("score").loc[list(names)].reset_index()

    def __repr__(self) -> str:
        table = self._shown().to_string(index=False, float_format="{:,.3f}".format)
        return f"{table}\n{len(self.folds)} folds, {len(self.predictions):,} rows; .summary() has all scores"

    def _repr_html_(self) -> str:
        return self._shown().to_html(index=False, float_format="{:,.3f}".format)


@dataclass(frozen=True)
class FoldAssignment:
    """The rows of a cross-validation and their fold assignment.

    Args:
        rows: with text and label, numbered anew.
        usable: which rows of df these are, bool.
        target: what is predicted, learnt from all of them, so that all folds have the same classes.
        parts: of each fold and repeat the part of each row, train, valid or test.
        recipe: arguments of `learner_from_df`, buckets given by their edges.
        y_true: codes of the target.
        texts: the rows with their texts, read and tokenized once.
    """

    rows: pd.DataFrame
    usable: np.ndarray
    target: Target
    parts: list[np.ndarray]
    recipe: dict
    y_true: np.ndarray
    texts: TextRows

    def read(self, recipe: dict) -> TextRows:
        """The rows as a recipe reads them: read before, unless its arguments differ."""
        if all(recipe.get(name) == self.recipe.get(name) for name in READING):
            return self.texts
        return usable_rows(self.rows, recipe)


def cross_validate(
    df: pd.DataFrame,
    *,
    folds: int = 5,
    repeats: int = 1,
    group_col: str | None = None,
    valid: float = 0.1,
    fit: Callable[[Any], Any] = fit_default,
    seed: int = 42,
    folder: str | Path | None = None,
    name: str | None = None,
    cache: Cache | None = None,
    **recipe: Any,
) -> CrossValidation:
    """Evaluate a recipe by k-fold cross-validation: a model for each fold, evaluated on its held-out rows.

    Args:
        df: the rows; never changed.
        folds: how many, at least 2, stratified by the target.
        repeats: how often the rows are assigned to folds anew.
        group_col: rows of one group (a customer, an author) stay in one fold.
        valid: share of the rows outside a fold that validate, for whatever training chooses by them.
        fit: trains a learner; by default `fit_few` with few labels per class, otherwise `fit_gradual`.
        seed: of the folds and of training.
        folder: keeps each finished fold; the same call resumes after a kill. A fold is recognized by all that it
            depends on: rows, recipe, `fit`, the files of a model's folder, the seed.
        name: stands for your own functions and classes (`fit`, a loss, a cleaning step), without which nothing can be
            resumed; change it whenever you change them.
        cache: where the frozen part is kept; by default one place for all folds.
        recipe: arguments of `learner_from_df`.
    Returns:
        Scores by fold, and out-of-fold predictions.
    Raises:
        ValueError: more folds than rows, or a column that is missing.
    """
    assignment = assign_folds(df, recipe, folds, repeats, group_col, valid, seed)
    subfolder = None if folder is None else Path(folder) / experiment_key(assignment, seed, name, fit=fit)
    options = assignment.recipe | {"seed": seed, "cache": cache or Cache()}
    results = []
    for number in bar(range(folds * repeats), "folds"):
        file = None if subfolder is None else subfolder / f"fold-{number}.npz"
        if file is None or not file.exists():
            result = train_fold(assignment, number, options, fit)
            if file is not None:
                with replacing(file) as part, part.open("wb") as out:
                    np.savez(out, **result)  # type: ignore[arg-type]
        results.append(result if file is None else dict(np.load(file)))
        line = _fold_line(assignment, number, results[-1])
        if not interactive():  # there is no progress bar
            say(line)
    return _together(assignment, results, folds, df.index)


def usable_rows(df: pd.DataFrame, recipe: dict, **columns: Any) -> TextRows:
    """The usable rows of df, as a recipe reads texts and target.

    Args:
        recipe: arguments of `learner_from_df`.
        columns: other columns that must exist, by the name of their argument.
    """
    hub = {"revision": recipe.get("revision") or "main", "trust_remote_code": recipe.get("trust_remote_code", False)}
    lengths = {name: recipe[name] for name in ("max_length", "long", "stride") if name in recipe}
    tokenizer = model_tokenizer(recipe.get("model", "roberta-base"), recipe.get("tokenizer"), **lengths, **hub)
    target = TargetOptions(recipe.get("label_col", "label"), **{name: recipe.get(name) for name in TARGET[1:]})
    texts = {"text_col": recipe.get("text_col", "text"), "cleaning": recipe.get("cleaning")}
    return TextRows.from_df(df, tokenizer, target, **texts, **columns)


def assign_folds(
    df: pd.DataFrame, recipe: dict, folds: int, repeats: int, group_col: str | None, valid: float, seed: int
) -> FoldAssignment:
    """The usable rows, the target of all of them, and the part of each row in each fold."""
    if unknown := [name for name in recipe if name not in signature(learner_from_df).parameters]:
        raise TypeError(f"{unknown[0]!r} is not an argument of learner_from_df")
    usable = usable_rows(df, recipe, group_col=group_col).renumbered()
    target, codes = usable.column.fit()
    recipe = recipe | {"task": target.task}
    if isinstance(target, UnorderedBins):
        recipe["bins"] = list(target.edges)
    options = replace(usable.column.options, task=target.task, bins=recipe.get("bins"))
    texts = replace(usable, column=replace(usable.column, options=options))
    groups = None if group_col is None else usable.df[group_col].to_numpy()
    parts = fold_assignments(usable.column.strata, groups, folds, repeats, valid, seed)
    return FoldAssignment(usable.df, usable.mask, target, parts, recipe, codes, texts)


def experiment_key(assignment: FoldAssignment, seed: int, name: str | None, **more: Any) -> str:
    """Hash what results depend on: the rows, their assignment, the recipe, the seed, the version.

    Your own code without a `name` makes a new key each time, and a line says so.

    Args:
        name: stands for your own functions and classes.
        more: what else the results depend on, by name.
    """
    recipe: dict[str, Any] = {"model": "roberta-base", "precision": "auto", "text_col": "text", "label_col": "label"}
    recipe |= assignment.recipe
    columns = dict.fromkeys([*as_list(recipe["text_col"]), *as_list(recipe["label_col"])])
    recipe |= {"rows": [assignment.rows[list(columns)], assignment.parts], **more}
    recipe["precision"] = choose_precision(recipe["precision"], default_device())  # a shared folder, other hardware
    recipe["model"] = _content(recipe["model"])
    recipe.pop("path", None)  # it says where checkpoints go, which no fold depends on
    prints = {}
    for argument, value in recipe.items():
        try:
            states = first_states(value, name) if argument in ("cbs", "metrics") else value
            prints[argument] = fingerprint(states, name=name)
        except Unidentifiable as err:
            say(
                f"starting over: {argument}: {err}. Pass name='...' for your own code, and change it with the code, to "
                "resume from the folder."
            )
            return uuid4().hex
    return fingerprint(__version__, seed, name, sorted(prints.items()))


def _content(model: str | Path) -> Any:
    """A model's folder as the digests of its files, which may be written anew; a hub id with its commit."""
    folder = Path(resolve(model))
    files = [file for file in (*folder.glob("*"), *folder.glob("1_Pooling/*")) if file.is_file()]
    if not files:
        return [str(model), load(AutoConfig.from_pretrained, model)._commit_hash]
    return {str(file.relative_to(folder)): file_digest(file) for file in sorted(files)}


def train_fold(assignment: FoldAssignment, number: int, recipe: dict, fit: Callable) -> dict[str, np.ndarray]:
    """Train on the fold's own rows and predict the others.

    Args:
        number: of the fold.
        recipe: arguments of `learner_from_df`.
        fit: trains a learner.
    Returns:
        probs and y_pred of the fold's test rows, in terms of all rows' classes, and seconds.
    """
    start, part = time.perf_counter(), assignment.parts[number]
    with redirect_stdout(StringIO()):  # a line per epoch of each fold is no news
        rows = assignment.read(recipe)
        options = {name: value for name, value in recipe.items() if name not in READING + TARGET or name in MODEL}
        learn = learner_from_rows(rows, part == TRAIN, part == VALID, **options)
        fit(learn)
        dl = learn.dls.rows_dl(rows, np.flatnonzero(part == TEST))
        probs, _, y_pred = learn.get_preds(dl=dl, with_decoded=True)
    probs, y_pred = aligned(learn.dls.target, assignment.target, probs.double().numpy(), y_pred.numpy())
    return {"probs": probs, "y_pred": y_pred, "seconds": np.array(time.perf_counter() - start)}


def _fold_line(assignment: FoldAssignment, number: int, result: dict[str, np.ndarray]) -> str:
    """The outcome of a fold, on a line."""
    y_true = assignment.y_true[assignment.parts[number] == TEST]
    fold = Predictions(assignment.target, result["probs"], result["y_pred"], y_true)
    score = f"{assignment.target.shown_scores[0]} {main_score(fold):.4f}"
    return f"fold {number + 1}/{len(assignment.parts)}  {score}  {float(result['seconds']):.0f} s"


def aligned(own: Any, target: Any, probs: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predictions in terms of another target: its classes, which may be more, or its scale.

    Args:
        own: the target that the predictions are of.
        target: the one that they are to be of.
        probs: shape (n, own classes), or standardized numbers, shape (n, 1).
        y_pred: the decisions, of `own`'s codes.
    """
    if target.is_number:
        numbers = target.standardize(own.inverse_transform(probs.reshape(-1))).astype(float).reshape(-1, 1)
        return numbers, numbers
    places = np.array([target.classes.index(c) for c in own.classes])
    all_probs = np.zeros((len(probs), len(target.classes)))
    all_probs[:, places] = probs
    if not target.is_multilabel:
        return all_probs, places[y_pred]
    indicators = np.zeros(all_probs.shape, dtype=np.float32)
    indicators[:, places] = y_pred
    return all_probs, indicators


def _together(assignment: FoldAssignment, results: list[dict], folds: int, index: pd.Index) -> CrossValidation:
    """The folds' scores, and their predictions in the order of the rows."""
    rows, target = assignment.rows, assignment.target
    sums, scores = np.zeros((len(rows), len(target.names))), []
    y_pred = np.zeros_like(assignment.y_true if not target.is_number else sums)
    for number, (part, result) in enumerate(zip(assignment.parts, results, strict=True)):
        test = part == TEST
        sums[test] += result["probs"]
        if number < folds:
            y_pred[test] = result["y_pred"]
        fold = Predictions(target, result["probs"], result["y_pred"], assignment.y_true[test])
        place = {"repeat": number // folds, "fold": number % folds}
        scores.append(place | all_scores(fold)(np.ones(len(fold))) | {"seconds": float(result["seconds"])})
    probs = sums / (len(results) // folds)
    if target.is_number:
        y_pred = probs
    index_of_rows = index[assignment.usable]
    predictions = Predictions(target, probs, y_pred, assignment.y_true, df=rows.set_axis(index_of_rows))
    frame = target.frame(probs, y_pred, index_of_rows).reindex(index)
    return CrossValidation(pd.DataFrame(scores), predictions, frame)
