"""Knowledge distillation (Hinton, Vinyals and Dean 2015): train a small student on unlabeled texts and a teacher.

teacher, texts → soft predictions, computed once and saved → the first layers and head of the teacher, trained on them
"""

import json
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.torch_core import default_device, set_seed

from kickbert.cache.storage import Cache
from kickbert.data.dataloaders import TextDataLoaders, soft_loaders
from kickbert.data.transforms import TextTokenizer, load_tokenizer, model_tokenizer
from kickbert.evaluation.predictions import Predictions
from kickbert.evaluation.probing import enough_layers, probe
from kickbert.models.artifact.loading import load_classifier
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import Encoder, load_encoder
from kickbert.models.head import Head
from kickbert.models.pooling import sentence_pooling
from kickbert.models.protocol import TextModel, is_model
from kickbert.targets.base import Target, for_target
from kickbert.targets.continuous import Continuous
from kickbert.targets.kinds import unseen_labels
from kickbert.targets.labels import Labels
from kickbert.text.cleaning import Cleaner
from kickbert.text.columns import as_list, check_frame, pick, read_items
from kickbert.text.tokenization import SEP, TokenEncoder
from kickbert.training.learner import GradualLearner
from kickbert.training.losses import KINDS, Distillation
from kickbert.training.metrics import metrics_for
from kickbert.training.optimizers import optimizer_by_name
from kickbert.training.schedule import Phase, gradual_unfreezing
from kickbert.utils.atomic_files import replacing
from kickbert.utils.devices import choose_precision
from kickbert.utils.hashing import digest
from kickbert.utils.messages import shorten


def distill(
    teacher: Any,
    texts: Any,
    layers: int | None = 3,
    *,
    model: str | Path | None = None,
    temperature: float = 2.0,
    label_weight: float = 0.0,
    phases: Sequence[Phase] | None = None,
    text_col: str | Sequence[str] = "text",
    label_col: str | Sequence[str] = "label",
    valid: float | str | Sequence = 0.15,
    bs: int = 32,
    seed: int | None = 42,
    optimizer: str | Callable = "adamw",
    precision: str = "auto",
    cache: bool | Cache = True,
    cbs: Any = None,
    path: str | Path = ".",
) -> GradualLearner:
    """Train a small model to reproduce the predictions of a large one (Hinton, Vinyals and Dean 2015, section 2).

    Args:
        teacher: a learner, a predictor, or a list of them, whose probabilities are averaged (for example the models of
            all folds: `cross_validate(df, fit=lambda learn: models.append(learn) or learn.fit_gradual())`). Or
            predictions of these texts: `cross_validate(df)`, `Predictions`, or for single labels an array of
            probabilities or a DataFrame with columns `prob_<class>`.
        texts: a DataFrame, or strings, tuples (one text per column) or dicts. Labels are optional.
        layers: number of layers of the student; None for the smallest number that `probe` suggests.
        model: hub id, folder or "minilm" whose first layers initialize the student; None for the teacher's layers and
            head.
        temperature: temperature that softens the probabilities of teacher and student; not used for regression.
        label_weight: weight of the label in the loss of a row, for rows that have a label.
        phases: phases of training; None for the head, then all layers except the embeddings; [] for no training.
        text_col, label_col: columns of texts, if the teacher is not a model.
        valid, bs, seed, optimizer, precision, cache, cbs, path: see `learner_from_df`. Validation scores use the label
            of a row if it has one, otherwise the teacher's prediction.
    Returns:
        A learner. Calibrate the teacher, not the student: the student learns the teacher's probabilities, which are
        saved in `path/models` for other students.
    Raises:
        ValueError, TypeError: an invalid argument.
    """
    if temperature <= 0 or not 0 <= label_weight <= 1:
        raise ValueError(
            f"temperature={temperature} must be above 0, and label_weight={label_weight} must be from 0 to 1"
        )
    if seed is not None:
        set_seed(seed)
    source = _source(teacher, model, as_list(text_col), label_col)
    encoder = None if layers is None else source.encoder.first_layers(layers)  # fails before the teacher predicts
    target, rows = source.target, _rows(source, texts, label_weight, Path(path) / "models")
    taught = (rows.frame, rows.texts, rows.codes, (rows.soft, rows.hard))
    loaders = soft_loaders(source.tokenizer, target, *taught, valid=valid, bs=bs, seed=seed)
    dls = TextDataLoaders(
        *loaders, text_col=source.text_col, label_col=source.label_col, target=target, cleaner=source.cleaner,
        path=path, device=default_device(),
    )  # fmt: skip
    options = {"seed": seed, "cache": cache, "opt_func": optimizer_by_name(optimizer), "cbs": cbs, "path": Path(path)}

    def learner(encoder: Encoder) -> GradualLearner:
        classifier = TextClassifier(encoder, source.head, choose_precision(precision, dls.device)).to(dls.device)
        loss = for_target(KINDS, target)(Distillation, target, temperature)
        return GradualLearner(dls, classifier, loss, metrics=metrics_for(target), **options)

    if encoder is None:
        encoder = source.encoder.first_layers(enough_layers(probe(learner(source.encoder))))
    student = learner(encoder)
    if phases is None:
        phases = gradual_unfreezing(encoder.n_layers + 2, layers=(0, encoder.n_layers), epochs=(1, 3))
    if phases:
        student.fit_gradual(phases)
    return student


@dataclass(frozen=True)
class _Source:
    """The teacher's parts that a student needs.

    Args:
        target, text_col, label_col, cleaner: how texts and labels are read.
        encoder, head, tokenizer: what the student is made of.
        models: that predict; none where predictions are given.
        given: probabilities and decisions of the very texts.
    """

    target: Target
    text_col: list[str]
    label_col: str | Sequence[str]
    encoder: Encoder
    head: Head
    tokenizer: TextTokenizer
    cleaner: Cleaner | None = None
    models: tuple[TextModel, ...] = ()
    given: tuple[np.ndarray, np.ndarray] | None = None


def _student_parts(
    model: str | Path, target: Target, own: TokenEncoder | None = None
) -> tuple[Encoder, Head, TextTokenizer]:
    """The encoder of a model, a new head, and the tokenizer, which cuts texts as the teacher's `own` does."""
    encoder = load_encoder(model)
    tokenizer = model_tokenizer(model)
    encoder.pair_separator = tokenizer.pair_separator
    if own is not None:
        limit = min(own.max_length, tokenizer.hf.model_max_length)
        tokenizer = TextTokenizer(tokenizer.hf, limit, own.long, own.stride)
    pooling = sentence_pooling(model) or "cls"
    head = Head(encoder.width, len(target.names), pooling, ordinal=target.is_ordered)
    return encoder, head, tokenizer


def _source(teacher: Any, model: str | Path | None, text_col: list[str], label_col: str | Sequence[str]) -> _Source:
    """What there is of a teacher of any kind.

    Raises:
        ValueError, TypeError: models of different targets, no layers to make a student of, or no teacher.
    """
    if not isinstance(teacher, pd.DataFrame):
        teacher = getattr(teacher, "predictions", teacher)  # of a cross-validation
    models = tuple(teacher) if isinstance(teacher, (list, tuple)) else (teacher,)
    if models and all(map(is_model, models)):
        source = _of_models(models)
        if model is None:
            return source
        encoder, head, tokenizer = _student_parts(model, source.target, source.tokenizer.token_encoder)
        return replace(source, encoder=encoder, head=head, tokenizer=tokenizer)
    if isinstance(teacher, (Predictions, pd.DataFrame, np.ndarray)):
        if model is None:
            raise ValueError("a student of probabilities needs a model. Give model='minilm' or another model")
        target, given = _given(teacher)
        encoder, head, tokenizer = _student_parts(model, target)
        return _Source(target, text_col, label_col, encoder, head, tokenizer, given=given)
    raise TypeError(
        f"teacher={shorten(repr(teacher), 80)} must be a learner, a predictor (kickbert.load), a list of them, "
        "Predictions, or probabilities as an array or a DataFrame"
    )


def _of_models(models: tuple[Any, ...]) -> _Source:
    first = models[0]
    for other in models[1:]:
        if (other.target.task, other.target.names) != (first.target.task, first.target.names):
            different = f"{first.target.describe()}; {other.target.describe()}"
            raise ValueError(f"all teachers must have the same target. Targets: {different}")
    if isinstance(first, GradualLearner):
        classifier, cleaner, tokenizer = first.model, first.dls.cleaner, first.dls.tokenizer
    else:
        classifier, cleaner, own = load_classifier(first.artifact), first.cleaner, first.token_encoder
        tokenizer = TextTokenizer(load_tokenizer(first.artifact.folder), own.max_length, own.long, own.stride)
    head = deepcopy(classifier.head).requires_grad_(True)
    text_col = list(first.text_col)
    return _Source(first.target, text_col, first.label_col, classifier.encoder, head, tokenizer, cleaner, models)


def _given(teacher: Any) -> tuple[Target, tuple[np.ndarray, np.ndarray]]:
    """The target of predictions, their probabilities and their decisions."""
    if isinstance(teacher, Predictions):
        return teacher.target, (teacher.probs, teacher.y_pred)
    table = pd.DataFrame(teacher)
    named = [column for column in table if str(column).startswith("prob_")]
    table = table[named].rename(columns=lambda column: column.removeprefix("prob_")) if named else table
    if len(table.columns) < 2 or not all(map(pd.api.types.is_numeric_dtype, table.dtypes)):
        raise ValueError(
            f"columns {list(table.columns)[:8]} are not class probabilities. Give one column `prob_<class>` per class; "
            "for other tasks, give Predictions"
        )
    target, probs = Labels(tuple(table.columns)), table.to_numpy(dtype=float)
    return target, (probs, target.decide(np.nan_to_num(probs)))


@dataclass(frozen=True)
class _Rows:
    """Texts, what is taught of them, and how much of it is their own label.

    Args:
        frame: the rows as they came, for a column or row labels that say which of them validate.
        texts: as the student reads them.
        codes: what the teacher decides, or the label where it counts.
        soft: the teacher's probabilities, float32, shape (n, classes), or numbers, shape (n,).
        hard: share of `codes` in the loss, float32, shape (n,).
    """

    frame: pd.DataFrame
    texts: list[str]
    codes: np.ndarray
    soft: np.ndarray
    hard: np.ndarray


def _rows(source: _Source, items: Any, label_weight: float, folder: Path) -> _Rows:
    """The rows with a text, and the teacher's predictions of them.

    Raises:
        ValueError: fewer than two, another number of predictions, or no labels where they are to count.
    """
    frame = items if isinstance(items, pd.DataFrame) else pd.DataFrame(index=range(len(items := list(items))))
    texts, empty = read_items(items, source.text_col, source.cleaner) if len(items) else ([], np.zeros(0, dtype=bool))
    usable = ~empty & np.array([bool(text.replace(SEP, "").strip()) for text in texts], dtype=bool)
    if source.given is not None:
        if len(source.given[0]) != len(texts):
            raise ValueError(
                f"{len(source.given[0]):,} predictions for {len(texts):,} texts. Give one per text, in the same order"
            )
        usable &= np.isfinite(source.given[0]).all(1)
    if usable.sum() < 2:
        raise ValueError(
            f"{usable.sum()} of {len(texts):,} texts can be used. Give at least two texts that are not empty"
        )
    if not usable.all():
        warnings.warn(f"{(~usable).sum():,} rows without text or prediction were skipped", stacklevel=3)
    positions = np.flatnonzero(usable)
    if source.given is None:
        asked = items[usable] if isinstance(items, pd.DataFrame) else [items[i] for i in positions]
        probs = np.mean([_soft(model, asked, source.target, folder) for model in source.models], axis=0)
        decided = source.models[0].decide(probs)
    else:
        probs, decided = (array[usable] for array in source.given)
    soft, codes = probs.astype(np.float32), np.array(decided, source.target.codes_dtype)
    if source.target.is_number:
        soft, codes = soft.reshape(-1), codes.reshape(-1)
    rows = _Rows(frame[usable], [texts[i] for i in positions], codes, soft, np.zeros(len(soft), np.float32))
    _warn_of_one_class(rows, source.target)
    return _with_labels(rows, source, label_weight)


def _soft(model: TextModel, items: Any, target: Target, folder: Path) -> np.ndarray:
    """The predictions of a model, in terms of `target`: from `folder` where it has predicted the same texts before."""
    file = folder / f"teacher-{digest(model.fingerprint, json.dumps(model.read(items)[0]))}.npy"
    if not file.exists():
        probs = model.predict_proba(items)
        with replacing(file) as part, part.open("wb") as out:
            np.save(out, probs)
    probs = np.load(file)
    own = model.target
    if (
        isinstance(own, Continuous) and isinstance(target, Continuous) and own != target
    ):  # another fold has another mean and spread
        return target.standardize(own.inverse_transform(probs.astype(float)))
    return probs


def _with_labels(rows: _Rows, source: _Source, label_weight: float) -> _Rows:
    """The rows with their labels, where they have one.

    Raises:
        ValueError: none has, and labels are to count.
    """
    columns = as_list(source.label_col)
    if not label_weight and not set(columns) <= set(rows.frame):
        return rows
    check_frame(rows.frame, label_col=columns)
    values, codes, hard = pick(rows.frame, source.label_col), rows.codes.copy(), rows.hard.copy()
    known = values.notna().to_numpy().reshape(len(values), -1).all(1)
    bad, message = unseen_labels(source.target, values[known])
    if bad.any():
        warnings.warn(f"{message}; they are used without a label", stacklevel=4)
        known[np.flatnonzero(known)[bad]] = False
    if label_weight and not known.any():
        raise ValueError(f"label_weight={label_weight} needs labels, but column {source.label_col!r} has none")
    codes[known], hard[known] = source.target.encode(values[known]), label_weight
    return replace(rows, codes=codes, hard=hard)


def _warn_of_one_class(rows: _Rows, target: Target) -> None:
    if not target.is_number and len(np.unique(rows.codes, axis=0)) == 1:
        warnings.warn(
            f"the teacher predicts {target.shown(rows.codes[0])!r} for all {len(rows.codes):,} texts. Add texts of "
            "other classes",
            stacklevel=4,
        )
