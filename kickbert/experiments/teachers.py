"""Teachers of distillation: models or predictions of any kind, and the parts from which a student is made."""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kickbert.data.transforms import TextTokenizer, load_tokenizer, model_tokenizer
from kickbert.evaluation.predictions import Predictions
from kickbert.models.artifact.loading import load_classifier
from kickbert.models.encoder import Encoder, load_encoder
from kickbert.models.head import Head
from kickbert.models.pooling import sentence_pooling
from kickbert.models.protocol import TextModel, is_model
from kickbert.targets.base import Target
from kickbert.targets.continuous import Continuous
from kickbert.targets.labels import Labels
from kickbert.text.cleaning import Cleaner
from kickbert.text.tokenization import TokenEncoder
from kickbert.training.learner import GradualLearner
from kickbert.utils.atomic_files import replacing
from kickbert.utils.hashing import digest
from kickbert.utils.hub import choose_model
from kickbert.utils.messages import shorten


@dataclass(frozen=True)
class Teacher:
    """A teacher, and the parts from which a student is made.

    Args:
        target, text_col, label_col, cleaner: settings for reading texts and labels.
        encoder, head, tokenizer: the parts of the student.
        models: models that predict; empty if there are predictions.
        predictions: probabilities and decisions; None if models predict.
    """

    target: Target
    text_col: list[str]
    label_col: str | Sequence[str]
    encoder: Encoder
    head: Head
    tokenizer: TextTokenizer
    cleaner: Cleaner | None = None
    models: tuple[TextModel, ...] = ()
    predictions: tuple[np.ndarray, np.ndarray] | None = None

    def predict(self, items: Any, usable: np.ndarray, folder: Path) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities and decisions of the usable items; those of models are averages, saved in `folder`."""
        if self.predictions is not None:
            return self.predictions[0][usable], self.predictions[1][usable]
        chosen = items[usable] if isinstance(items, pd.DataFrame) else [items[i] for i in np.flatnonzero(usable)]
        probs = np.mean([_saved_probs(model, chosen, self.target, folder) for model in self.models], axis=0)
        return probs, self.models[0].decide(probs)


def read_teacher(
    teacher: Any, model: str | Path | None, text_col: list[str], label_col: str | Sequence[str]
) -> Teacher:
    """Read a teacher of any kind; arguments as for `distill`.

    Raises:
        ValueError, TypeError: models of different targets, no layers for a student, or no teacher.
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
        target, predictions = _read_predictions(teacher)
        encoder, head, tokenizer = _student_parts(choose_model(model), target)
        return Teacher(target, text_col, label_col, encoder, head, tokenizer, predictions=predictions)
    raise TypeError(
        f"teacher={shorten(repr(teacher), 80)} must be a learner, a predictor (kickbert.load), a list of them, "
        "Predictions, or probabilities as an array or a DataFrame"
    )


def _of_models(models: tuple[Any, ...]) -> Teacher:
    """Make a teacher from models; the student gets the layers and the head of the first one."""
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
    return Teacher(first.target, text_col, first.label_col, classifier.encoder, head, tokenizer, cleaner, models)


def _student_parts(
    model: str | Path, target: Target, own: TokenEncoder | None = None
) -> tuple[Encoder, Head, TextTokenizer]:
    """Load the encoder of a model, a new head, and a tokenizer that truncates texts like the teacher's `own`."""
    encoder = load_encoder(model)
    tokenizer = model_tokenizer(model)
    encoder.pair_separator = tokenizer.pair_separator
    if own is not None:
        limit = min(own.max_length, tokenizer.hf.model_max_length)
        tokenizer = TextTokenizer(tokenizer.hf, limit, own.long, own.stride)
    pooling = sentence_pooling(model) or "cls"
    head = Head(encoder.width, len(target.names), pooling, ordinal=target.is_ordered)
    return encoder, head, tokenizer


def _read_predictions(teacher: Any) -> tuple[Target, tuple[np.ndarray, np.ndarray]]:
    """Return the target of predictions, their probabilities and their decisions."""
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


def _saved_probs(model: TextModel, items: Any, target: Target, folder: Path) -> np.ndarray:
    """Predict with a model, on the scale of `target`; earlier predictions of the same texts are read from `folder`."""
    file = folder / f"teacher-{digest(model.fingerprint, json.dumps(model.read(items)[0]))}.npy"
    if not file.exists():
        probs = model.predict_proba(items)
        with replacing(file) as part, part.open("wb") as out:
            np.save(out, probs)
    probs = np.load(file)
    own = model.target
    # The standardized numbers of another fold have another mean and spread.
    if isinstance(own, Continuous) and isinstance(target, Continuous) and own != target:
        return target.standardize(own.inverse_transform(probs.astype(float)))
    return probs
