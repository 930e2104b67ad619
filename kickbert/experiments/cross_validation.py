"""k-fold cross-validation of a recipe, which is a dict of arguments for `learner_from_df`.

df, recipe → folds → one learner per fold, all sharing a cache → out-of-fold predictions → scores by fold
"""

import gc
import time
from collections.abc import Callable, Mapping
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
from kickbert.data.row_groups import row_groups
from kickbert.data.rows import TextRows
from kickbert.data.splits import TEST, TRAIN, VALID, fold_assignments
from kickbert.data.transforms import model_tokenizer
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.scores import all_scores, main_score
from kickbert.tabular.columns import ColumnNames
from kickbert.targets.base import Target
from kickbert.targets.bins import UnorderedBins
from kickbert.targets.directions import with_directions
from kickbert.targets.labels import Labels
from kickbert.targets.options import TargetOptions
from kickbert.text.columns import as_list
from kickbert.text.text_columns import DEFAULT
from kickbert.training.checkpoint import first_states
from kickbert.training.factories import learner_from_df, learner_from_rows
from kickbert.training.fitting import fit_default, fit_function
from kickbert.utils.atomic_files import replacing
from kickbert.utils.devices import choose_precision
from kickbert.utils.hashing import Unidentifiable, file_digest, fingerprint
from kickbert.utils.hub import choose_model, load, resolve
from kickbert.utils.progress import bar, interactive, say

PART = "part of the fold"  # column name; its values are train, valid and test
# Arguments of `learner_from_df` that determine how texts and target are read. The model needs the first ones, too.
MODEL = ("model", "revision", "trust_remote_code")
READING = (*MODEL, "text_col", *ColumnNames._fields, "cleaning", "tokenizer", "max_length", "long", "stride")
TARGET = ("label_col", "bins", "bin_format", "label_delim", "task", "labels", "decimal")


@dataclass(frozen=True, repr=False)
class CrossValidation:
    """Scores by fold, and out-of-fold predictions.

    Args:
        folds: one row per fold and repeat, with scores and training time in seconds.
        predictions: out-of-fold predictions of all rows with text and label, in the order of df. With repeats,
            probabilities are averaged, and the predicted labels are those of the first repeat.
        probs: the predictions as a DataFrame with the index of df; NaN for rows without text or label.
    """

    folds: pd.DataFrame
    predictions: Predictions
    probs: pd.DataFrame

    def summary(self) -> pd.DataFrame:
        """Mean and standard deviation of each score over folds."""
        scores = self.folds.drop(columns=["repeat", "fold"])
        return pd.DataFrame({"mean": scores.mean(), "std": scores.std()}).rename_axis("score").reset_index()

    def _shown(self) -> pd.DataFrame:
        names = self.predictions.target.shown_scores
        return with_directions(self.summary().set_index("score").loc[list(names)].reset_index())

    def __repr__(self) -> str:
        table = self._shown().to_string(index=False, float_format="{:,.3f}".format)
        return f"{table}\n{len(self.folds)} folds, {len(self.predictions):,} rows; .summary() shows all scores"

    def _repr_html_(self) -> str:
        return self._shown().to_html(index=False, float_format="{:,.3f}".format)


@dataclass(frozen=True)
class FoldAssignment:
    """The rows of a cross-validation and their fold assignment.

    Args:
        rows: rows with text and label, with a new index.
        usable: mask of these rows in df, bool, shape (len(df),).
        target: target fitted on all rows, so that all folds have the same classes.
        parts: part of each row (train, valid or test), one array for each fold and repeat.
        recipe: arguments of `learner_from_df`, with bin edges instead of a number of bins.
        y_true: true codes, one per row.
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
        """Read the rows with the arguments of a recipe; reuse `texts` if these arguments are the same."""
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
    fit: Callable[[Any], Any] | str = fit_default,
    seed: int = 42,
    folder: str | Path | None = None,
    name: str | None = None,
    cache: Cache | None = None,
    **recipe: Any,
) -> CrossValidation:
    """Evaluate a recipe by k-fold cross-validation: train one model per fold and evaluate it on its held-out rows.

    Args:
        df: labeled rows; not modified.
        folds: number of folds, at least 2, stratified by the target.
        repeats: number of times to repeat the cross-validation with different folds.
        group_col: column of groups (customers, authors). Rows of the same group stay in the same fold. A row without
            a group is a group of its own, and a warning counts such rows.
        valid: share of the training rows of each fold to use for validation.
        fit: function that trains a learner, or a preset of `fit_gradual`: with "fast", all folds share the encoder's
            states, and each takes seconds. By default `fit_few` with few labels per class, otherwise `fit_gradual`.
        seed: seed for the folds and for training.
        folder: folder for finished folds; the same call resumes after an interruption. A fold is reused only if rows,
            recipe, `fit`, model files and seed are the same.
        name: name for the version of your own functions and classes (`fit`, a loss, a cleaning step). Without a name,
            runs with such code cannot be resumed. Change the name whenever you change the code.
        cache: cache for the states of the frozen layers; by default all folds share one.
        recipe: arguments of `learner_from_df`.
    Returns:
        Scores by fold, and out-of-fold predictions.
    Raises:
        ValueError: more folds than rows, or a missing column.
    """
    train = fit_function(fit)  # before rows are read, so that an unknown preset costs no time
    assignment = assign_folds(df, recipe, folds, repeats, group_col, valid, seed)
    subfolder = None if folder is None else Path(folder).expanduser() / experiment_key(assignment, seed, name, fit=fit)
    options = assignment.recipe | {"seed": seed, "cache": cache or Cache()}
    results = []
    for number in bar(range(folds * repeats), "folds"):
        file = None if subfolder is None else subfolder / f"fold-{number}.npz"
        if file is None or not file.exists():
            result = train_fold(assignment, number, options, train)
            if file is not None:
                with replacing(file) as part, part.open("wb") as out:
                    np.savez(out, **result)  # type: ignore[arg-type]
        results.append(result if file is None else dict(np.load(file)))
        line = _fold_line(assignment, number, results[-1])
        if not interactive():  # there is no progress bar
            say(line)
    return _together(assignment, results, folds, df.index)


def usable_rows(df: pd.DataFrame, recipe: dict, **columns: Any) -> TextRows:
    """Read the rows of df with the arguments of a recipe.

    Args:
        df: labeled rows.
        recipe: arguments of `learner_from_df`.
        columns: other required columns, by argument name.
    """
    hub = {"revision": recipe.get("revision") or "main", "trust_remote_code": recipe.get("trust_remote_code", False)}
    lengths = {name: recipe[name] for name in ("max_length", "long", "stride") if name in recipe}
    tokenizer = model_tokenizer(choose_model(recipe.get("model")), recipe.get("tokenizer"), **lengths, **hub)
    target = TargetOptions(recipe.get("label_col", "label"), **{name: recipe.get(name) for name in TARGET[1:]})
    texts = {"text_col": recipe.get("text_col", "text"), "cleaning": recipe.get("cleaning")}
    beside = ColumnNames(*(recipe.get(name) for name in ColumnNames._fields))
    return TextRows.from_df(df, tokenizer, target, **texts, columns=beside, **columns)


def assign_folds(
    df: pd.DataFrame, recipe: dict, folds: int, repeats: int, group_col: str | None, valid: float, seed: int
) -> FoldAssignment:
    """Select the usable rows, fit the target on all of them, and assign each row to a part in each fold."""
    if unknown := [name for name in recipe if name not in signature(learner_from_df).parameters]:
        raise TypeError(f"{unknown[0]!r} is not an argument of learner_from_df")
    recipe = recipe | {"model": choose_model(recipe.get("model"))}
    usable = usable_rows(df, recipe, group_col=group_col)
    groups = row_groups(usable.texts, None if group_col is None else usable.df[group_col])
    usable = usable.renumbered()
    target, codes = usable.column.fit()
    recipe = recipe | {"task": target.task}
    if usable.text_col != as_list(recipe.get("text_col", DEFAULT)):
        recipe["text_col"] = usable.text_col
    if isinstance(target, UnorderedBins):
        recipe["bins"] = list(target.edges)
    options = replace(usable.column.options, task=target.task, bins=recipe.get("bins"))
    texts = replace(usable, column=replace(usable.column, options=options))
    parts = fold_assignments(usable.column.strata, groups, folds, repeats, valid, seed)
    return FoldAssignment(usable.df, usable.mask, target, parts, recipe, codes, texts)


def experiment_key(assignment: FoldAssignment, seed: int, name: str | None, **more: Any) -> str:
    """Hash everything that results depend on: rows, fold assignment, recipe, seed and kickbert version.

    With custom code and no `name`, the key is new each time, and a message says so.

    Args:
        assignment: rows, fold assignment and recipe.
        seed: seed for training.
        name: name for the version of your own functions and classes.
        more: other values that results depend on, by name.
    """
    recipe: dict[str, Any] = {"precision": "auto", "text_col": "text", "label_col": "label"}
    recipe |= assignment.recipe
    read = [name for name in assignment.rows if str(name) in assignment.texts.beside]
    columns = dict.fromkeys([*as_list(recipe["text_col"]), *as_list(recipe["label_col"]), *read])
    recipe |= {"rows": [assignment.rows[list(columns)], assignment.parts], **more}
    # The folder may be shared with a machine that has other hardware.
    recipe["precision"] = choose_precision(recipe["precision"], default_device())
    recipe["model"] = _content(recipe["model"])
    recipe.pop("path", None)  # the folder of checkpoints does not change the results
    prints = {}
    for argument, value in recipe.items():
        try:
            states = first_states(value, name) if argument in ("cbs", "metrics") else value
            prints[argument] = fingerprint(states, name=name)
        except Unidentifiable as err:
            say(
                f"starting over: {argument}: {err}. To resume runs that use your own code, pass name='...' and change "
                "it whenever you change the code."
            )
            return uuid4().hex
    return fingerprint(__version__, seed, name, sorted(prints.items()))


def _content(model: str | Path) -> Any:
    """Identify a local model by the digests of its files, and a hub model by its commit."""
    folder = Path(resolve(model))
    files = [file for file in (*folder.glob("*"), *folder.glob("1_Pooling/*")) if file.is_file()]
    if not files:
        return [str(model), load(AutoConfig.from_pretrained, model)._commit_hash]
    return {str(file.relative_to(folder)): file_digest(file) for file in sorted(files)}


def train_fold(assignment: FoldAssignment, number: int, recipe: dict, fit: Callable) -> dict[str, np.ndarray]:
    """Train a learner on the training rows of a fold and predict its test rows.

    Args:
        assignment: rows and fold assignment.
        number: number of the fold.
        recipe: arguments of `learner_from_df`.
        fit: function that trains a learner.
    Returns:
        probs and y_pred of the test rows, with the classes of all rows, and seconds.
    """
    start, part = time.perf_counter(), assignment.parts[number]
    with redirect_stdout(StringIO()):  # hide the line that each epoch prints
        rows = assignment.read(recipe)
        options = {name: value for name, value in recipe.items() if name not in READING + TARGET or name in MODEL}
        options = with_known_weights(options, assignment, part == TRAIN)
        learn = learner_from_rows(rows, part == TRAIN, part == VALID, **options)
        fit(learn)
        dl = learn.dls.rows_dl(rows, np.flatnonzero(part == TEST))
        probs, _, y_pred = learn.get_preds(dl=dl, with_decoded=True)
    probs, y_pred = aligned(learn.dls.target, assignment.target, probs.double().numpy(), y_pred.numpy())
    del learn, dl
    gc.collect()  # a learner and its callbacks refer to one another
    return {"probs": probs, "y_pred": y_pred, "seconds": np.array(time.perf_counter() - start)}


def with_known_weights(options: dict, assignment: FoldAssignment, train: np.ndarray) -> dict:
    """Omit the class weights of classes that no training row has; names of no class at all are kept.

    Args:
        options: arguments of `learner_from_df`.
        assignment: the rows.
        train: mask of the training rows, bool, shape (n,).
    """
    weights, target = options.get("class_weights"), assignment.target
    if not isinstance(weights, Mapping) or not isinstance(target, Labels):
        return options
    codes = assignment.y_true[train]
    counts = codes.sum(0) if target.is_multilabel else np.bincount(codes, minlength=len(target.classes))
    absent = {label for label, count in zip(target.classes, counts, strict=True) if not count}
    return options | {"class_weights": {label: weight for label, weight in weights.items() if label not in absent}}


def _fold_line(assignment: FoldAssignment, number: int, result: dict[str, np.ndarray]) -> str:
    """Format the main score and the duration of a fold as one line."""
    y_true = assignment.y_true[assignment.parts[number] == TEST]
    fold = Predictions(assignment.target, result["probs"], result["y_pred"], y_true)
    score = f"{assignment.target.shown_scores[0]} {main_score(fold):.4f}"
    return f"fold {number + 1}/{len(assignment.parts)}  {score}  {float(result['seconds']):.0f} s"


def aligned(own: Any, target: Any, probs: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert predictions to another target, which may have more classes or another scale.

    Args:
        own: target of the predictions.
        target: target to convert to.
        probs: shape (n, classes of `own`), or standardized numbers, shape (n, 1).
        y_pred: predicted codes of `own`.
    """
    if target.is_number:
        numbers = target.standardize(own.inverse_transform(probs.reshape(-1))).astype(float).reshape(-1, 1)
        return numbers, numbers
    positions = np.array([target.classes.index(c) for c in own.classes])
    all_probs = np.zeros((len(probs), len(target.classes)))
    all_probs[:, positions] = probs
    if not target.is_multilabel:
        return all_probs, positions[y_pred]
    indicators = np.zeros(all_probs.shape, dtype=np.float32)
    indicators[:, positions] = y_pred
    return all_probs, indicators


def _together(assignment: FoldAssignment, results: list[dict], folds: int, index: pd.Index) -> CrossValidation:
    """Combine the results of all folds: scores by fold, and predictions in the order of the rows."""
    rows, target = assignment.rows, assignment.target
    sums, scores = np.zeros((len(rows), len(target.names))), []
    y_pred = np.zeros_like(assignment.y_true if not target.is_number else sums)
    for number, (part, result) in enumerate(zip(assignment.parts, results, strict=True)):
        test = part == TEST
        sums[test] += result["probs"]
        if number < folds:
            y_pred[test] = result["y_pred"]
        fold = Predictions(target, result["probs"], result["y_pred"], assignment.y_true[test])
        position = {"repeat": number // folds, "fold": number % folds}
        scores.append(position | all_scores(fold)(np.ones(len(fold))) | {"seconds": float(result["seconds"])})
    probs = sums / (len(results) // folds)
    if target.is_number:
        y_pred = probs
    predictions = Predictions(target, probs, y_pred, assignment.y_true, df=rows.set_axis(index[assignment.usable]))
    # By position, because labels of the index may repeat.
    frame = target.frame(probs, y_pred, pd.Index(np.flatnonzero(assignment.usable)))
    frame = frame.reindex(pd.RangeIndex(len(index))).set_axis(index)
    return CrossValidation(pd.DataFrame(scores), predictions, frame)
