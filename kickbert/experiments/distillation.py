"""Knowledge distillation (Hinton, Vinyals and Dean 2015): train a small student on unlabeled texts and a teacher.

teacher, texts → soft predictions, computed once and saved → the first layers and head of the teacher, trained on them
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.torch_core import default_device, set_seed

from kickbert.cache.storage import Cache
from kickbert.data.dataloaders import TextDataLoaders, soft_loaders
from kickbert.evaluation.probing import enough_layers, probe
from kickbert.experiments.teachers import Teacher, read_teacher
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import Encoder
from kickbert.tabular.column_model import names_beside
from kickbert.targets.base import for_target
from kickbert.targets.kinds import unseen_labels
from kickbert.targets.label_cells import labeled_rows
from kickbert.text.columns import as_list, check_frame, pick, read_items
from kickbert.text.tokenization import SEP
from kickbert.training.learner import GradualLearner
from kickbert.training.losses import KINDS, Distillation
from kickbert.training.metrics import metrics_for
from kickbert.training.optimizers import optimizer_by_name
from kickbert.training.schedule import Phase, gradual_unfreezing
from kickbert.utils.devices import choose_precision


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
    bs: int | None = None,
    seed: int | None = 42,
    optimizer: str | Callable = "adamw",
    precision: str = "auto",
    cache: bool | Cache = True,
    cbs: Any = None,
    path: str | Path = ".",
) -> GradualLearner:
    """Train a small model to reproduce the predictions of a large one (Hinton, Vinyals and Dean 2015, section 2).

    Args:
        teacher: a learner, a predictor, or a list of them to average their probabilities (for example the models of
            all folds: `cross_validate(df, fit=lambda learn: models.append(learn) or learn.fit_gradual())`). Or
            predictions of these texts: `cross_validate(df)`, `Predictions`, or for single labels an array of
            probabilities or a DataFrame with columns `prob_<class>`.
        texts: a DataFrame, or strings, tuples (one text per column) or dicts. Labels are optional.
        layers: number of layers of the student; None for the smallest number that `probe` suggests.
        model: hub id, folder or "minilm"; its first layers initialize the student. None for the teacher's layers and
            head, or for the default encoder if the teacher is not a model.
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
    source = read_teacher(teacher, model, as_list(text_col), label_col)
    for one in source.models:
        if names := names_beside(one.columns):
            raise ValueError(
                f"the teacher reads {names} beside the text, and a student reads text alone. Train a teacher without "
                "these columns"
            )
    encoder = None if layers is None else source.encoder.first_layers(layers)  # fails before the teacher predicts
    path = Path(path).expanduser()
    target, rows = source.target, _rows(source, texts, label_weight, path / "models")
    loaders = soft_loaders(source.tokenizer, target, *rows, valid=valid, bs=bs, seed=seed)
    dls = TextDataLoaders(
        *loaders, text_col=source.text_col, label_col=source.label_col, target=target, cleaner=source.cleaner,
        path=path, device=default_device(),
    )  # fmt: skip
    options = {"seed": seed, "cache": cache, "opt_func": optimizer_by_name(optimizer), "cbs": cbs, "path": path}

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
        student.fit_gradual(phases, calibrate=False)  # the teacher's probabilities are its targets
    return student


def _rows(
    source: Teacher, items: Any, label_weight: float, folder: Path
) -> tuple[pd.DataFrame, list[str], np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Read the rows that have a text, and let the teacher predict them.

    Returns:
        The rows as a frame, for a column or row labels that select the validation rows; their texts; their codes, the
        teacher's decisions or the labels that count; and two targets of the loss: the teacher's probabilities,
        float32, shape (n, classes), or numbers, shape (n,), and the weights of the codes, float32, shape (n,).
    Raises:
        ValueError: fewer than two rows, a wrong number of predictions, or no labels although `label_weight` is not 0.
    """
    frame = items if isinstance(items, pd.DataFrame) else pd.DataFrame(index=range(len(items := list(items))))
    texts, empty = read_items(items, source.text_col, source.cleaner) if len(items) else ([], np.zeros(0, dtype=bool))
    usable = ~empty & np.array([bool(text.replace(SEP, "").strip()) for text in texts], dtype=bool)
    if source.predictions is not None:
        if len(source.predictions[0]) != len(texts):
            raise ValueError(
                f"{len(source.predictions[0]):,} predictions for {len(texts):,} texts. Give one per text, in the same "
                "order"
            )
        usable &= np.isfinite(source.predictions[0]).all(1)
    if usable.sum() < 2:
        raise ValueError(
            f"{usable.sum()} of {len(texts):,} texts can be used. Give at least two texts that are not empty"
        )
    if not usable.all():
        warnings.warn(f"{(~usable).sum():,} rows without text or prediction were skipped", stacklevel=3)
    soft, codes = source.predict(items, usable, folder)
    soft, codes = soft.astype(np.float32), np.array(codes, source.target.codes_dtype)
    if source.target.is_number:
        soft, codes = soft.reshape(-1), codes.reshape(-1)
    elif len(np.unique(codes, axis=0)) == 1:
        warnings.warn(
            f"the teacher predicts {source.target.shown(codes[0])!r} for all {len(codes):,} texts. Add texts of other "
            "classes",
            stacklevel=3,
        )
    weights = _set_labels(codes, frame[usable], source, label_weight)
    return frame[usable], [texts[i] for i in np.flatnonzero(usable)], codes, (soft, weights)


def _set_labels(codes: np.ndarray, df: pd.DataFrame, source: Teacher, label_weight: float) -> np.ndarray:
    """Replace the codes of labeled rows with their labels, in place, and return the weights of all codes.

    Raises:
        ValueError: no row has a label, although labels should count.
    """
    weights, columns = np.zeros(len(codes), dtype=np.float32), as_list(source.label_col)
    if not label_weight and not set(columns) <= set(df):
        return weights
    check_frame(df, label_col=columns)
    values = pick(df, source.label_col)
    known = labeled_rows(values)
    bad, message = unseen_labels(source.target, values[known])
    if bad.any():
        warnings.warn(f"{message}; they are used without a label", stacklevel=4)
        known[np.flatnonzero(known)[bad]] = False
    if label_weight and not known.any():
        raise ValueError(f"label_weight={label_weight} needs labels, but column {source.label_col!r} has none")
    codes[known], weights[known] = source.target.encode(values[known]), label_weight
    return weights
