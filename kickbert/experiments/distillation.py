"""A small student that predicts as its teacher does (Hinton, Vinyals and Dean 2015), from texts that need no labels.

teacher, texts → soft predictions, computed once and kept → the teacher's first layers and its head, trained on them
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
    """A small model trained to predict what a large one predicts (Hinton, Vinyals and Dean 2015, section 2).

    Args:
        teacher: a learner or a predictor; a list of them, whose probabilities are averaged (those of all folds:
            `cross_validate(df, fit=lambda learn: models.append(learn) or learn.fit_gradual())`); or what was predicted
            of these very texts: `cross_validate(df)`, `Predictions`, or probabilities of single labels, an array or a
            DataFrame with columns `prob_<class>`.
        texts: a DataFrame, or strings, tuples (a text for each column) or dicts; as many as there are, without labels.
        layers: how many of the first layers the student has; None for as few as `probe` finds enough.
        model: hub id, folder or "minilm", of whose first layers the student is made; None for the teacher's own, with
            its head.
        temperature: that the probabilities of both are softened by; of numbers it changes nothing.
        label_weight: how much of the loss of a row is that of its label, where texts have the label's column and a
            label in it.
        phases: what to train when; None for the head, then all layers but the embeddings; [] for nothing yet.
        text_col, label_col: of texts, where the teacher is no model that knows them.
        valid, bs, seed, optimizer, precision, cache, cbs, path: as for `learner_from_df`. Validation rows are judged by
            their label where they have one, else by what the teacher decides.
    Returns:
        A learner as any other. Calibrate the teacher, not the student: its probabilities are those that the student
        learns. They are kept in `path/models`, for the next student.
    Raises:
        ValueError, TypeError: what cannot be used, with what is there and what to do.
    """
    if temperature <= 0 or not 0 <= label_weight <= 1:
        raise ValueError(f"temperature={temperature} must be above 0, and label_weight={label_weight} from 0 to 1")
    if seed is not None:
        set_seed(seed)
    source = _source(teacher, model, as_list(text_col), label_col)
    encoder = None if layers is None else source.encoder.first_layers(layers)  # may fail: before the teacher predicts
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
    """What a student takes from its teacher.

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
            raise ValueError("probabilities have no layers to make a student of; give model='minilm' or another")
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
            raise ValueError(f"teachers must predict the same target, and these do not: {different}")
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
            f"columns {list(table.columns)[:8]} are no probabilities of classes; give `prob_<class>` for each one; of "
            "another target give Predictions"
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
                f"{len(source.given[0]):,} predictions for {len(texts):,} texts; give one for each, in order"
            )
        usable &= np.isfinite(source.given[0]).all(1)
    if usable.sum() < 2:
        raise ValueError(f"{usable.sum()} of {len(texts):,} texts can be learnt from; give at least two with words")
    if not usable.all():
        warnings.warn(f"{(~usable).sum():,} rows without text, or prediction, are left out", stacklevel=3)
    places = np.flatnonzero(usable)
    if source.given is None:
        asked = items[usable] if isinstance(items, pd.DataFrame) else [items[i] for i in places]
        probs = np.mean([_soft(model, asked, source.target, folder) for model in source.models], axis=0)
        decided = source.models[0].decide(probs)
    else:
        probs, decided = (array[usable] for array in source.given)
    soft, codes = probs.astype(np.float32), np.array(decided, source.target.codes_dtype)
    if source.target.is_number:
        soft, codes = soft.reshape(-1), codes.reshape(-1)
    rows = _Rows(frame[usable], [texts[i] for i in places], codes, soft, np.zeros(len(soft), np.float32))
    _warn_of_one_class(rows, source.target)
    return _labelled(rows, source, label_weight)


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


def _labelled(rows: _Rows, source: _Source, label_weight: float) -> _Rows:
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
        warnings.warn(f"{message}; they count as rows without a label", stacklevel=4)
        known[np.flatnonzero(known)[bad]] = False
    if label_weight and not known.any():
        raise ValueError(f"label_weight={label_weight} needs labels, and no row has one in {source.label_col!r}")
    codes[known], hard[known] = source.target.encode(values[known]), label_weight
    return replace(rows, codes=codes, hard=hard)


def _warn_of_one_class(rows: _Rows, target: Target) -> None:
    if not target.is_number and len(np.unique(rows.codes, axis=0)) == 1:
        warnings.warn(
            f"the teacher decides {target.shown(rows.codes[0])!r} of all {len(rows.codes):,} texts: a student can "
            "learn little else; give texts of other classes too",
            stacklevel=4,
        )
