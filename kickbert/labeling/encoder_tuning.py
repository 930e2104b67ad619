"""Tuning the encoder on the labels, in a separate process while labeling continues.

each doubling of the labels → cross-validation: is a tuned encoder better? → embeddings of all rows → `BackgroundModel`
"""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kickbert.labeling.child_process import ChildProcess
from kickbert.labeling.classes import current_labels
from kickbert.labeling.database import Label, LabelDatabase, Row
from kickbert.targets.labels import Labels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.text.tokenization import join_columns
from kickbert.utils.atomic_files import replacing

if TYPE_CHECKING:
    from kickbert.training.learner import GradualLearner

MIN_LABELS = 40  # labels from which the encoder is tuned
MIN_PER_CLASS = 4  # labels of each class: with fewer, some folds lack a class


def tune_encoder(file: Path, out: Path, model: str) -> dict[str, Any]:
    """Tune the last layers on the labels of a database, if that predicts held-out labels better.

    Args:
        file: Label database.
        out: File for the tuned embeddings of all rows and their keys; written only if they are better.
        model: Hub id, folder or "minilm".
    Returns:
        labels (their number); before and after (cross-validated accuracy of a logistic regression on the original
        and on the tuned embeddings); better (whether the file was written).
    Raises:
        ValueError: A class has too few labels for cross-validation.
    """
    from sklearn.preprocessing import normalize
    from threadpoolctl import threadpool_limits

    from kickbert.cache.embeddings import embed_by
    from kickbert.training.few_shot import FewRows, FewShot

    recipes = (FewShot(layers=0), FewShot())
    rows, texts, learn = _learner(file, model, out.parent)
    with threadpool_limits(1):  # NumPy's threads, which were counted when it was imported
        few = FewRows(learn)
        recipe = few.choose(recipes)
        if not few.accuracies:
            raise ValueError(f"Labels were undone in the meantime: some class has fewer than {MIN_PER_CLASS}.")
        before, after = few.accuracies
        better = recipe is recipes[1]
        if better:
            for _ in few.train(recipe, few.train_rows):
                pass
            embeddings = normalize(embed_by(learn.model.eval(), learn.dls.tokenizer, texts, learn.cache.storage))
            with replacing(out) as part, part.open("wb") as stream:
                np.savez(stream, keys=np.array([row.key for row in rows]), embeddings=embeddings)
    return {"labels": len(few.train_rows), "before": before, "after": after, "better": better}


def _learner(file: Path, model: str, path: Path) -> tuple[list[Row], list[str], "GradualLearner"]:
    """Return all rows of a database, their texts, and a learner on the labeled ones without validation rows."""
    import pandas as pd

    from kickbert.models.pooling import sentence_pooling
    from kickbert.training.factories import learner_from_df

    database = LabelDatabase(file)
    try:
        rows = database.rows()
        labels = current_labels(database)
    finally:
        database.close()
    texts = join_columns(*zip(*(row.texts for row in rows), strict=True))
    text_of = dict(zip((row.id for row in rows), texts, strict=True))
    df = pd.DataFrame({"text": [text_of[label.row] for label in labels], "label": [label.label for label in labels]})
    task = (
        MultiLabels.task if database.kind.is_multilabel else Labels.task
    )  # the contrastive loss treats ordered classes as classes
    pooling = sentence_pooling(model) or "mean"  # as `embed` pools
    return rows, texts, learner_from_df(df, task=task, model=model, pooling=pooling, valid=0, path=path)


@dataclass(frozen=True)
class Tuned:
    """Result of tuning the encoder."""

    labels: int  # number of labels it was tuned on
    before: float  # cross-validated accuracy without tuning
    after: float  # cross-validated accuracy with tuning
    embeddings: np.ndarray | None  # of all rows, normalized, float32, shape (rows, width); None if not better


class EncoderTuning:
    """Tune the last layers of the encoder whenever the number of labels has doubled, in a process of its own.

    Classes may be renamed or merged and labels undone in the meantime: the process returns embeddings of texts, and the
    regression on them is fitted to the labels that exist then.

    Args:
        file: Label database.
        model: Hub id, folder or "minilm".
    """

    def __init__(self, file: Path, model: str):
        self.running = False  # until the result is collected
        self.problem: str | None = None
        self.folder = tempfile.TemporaryDirectory(prefix="kickbert-")
        self.out = Path(self.folder.name) / "embeddings.npz"
        self.process = ChildProcess(tune_encoder, file, self.out, model, lowest=True)
        self._next = MIN_LABELS

    def begin(self, labels: Sequence[Label]) -> None:
        """Start if the labels have doubled since the last start and each class in use has enough of them."""
        if len(labels) < self._next or self.running:
            return
        counts = Counter(name for label in labels for name in label.names)
        if len(counts) > 1 and min(counts.values()) >= MIN_PER_CLASS:
            self._next = 2 * len(labels)
            self.problem = None
            self.process.start()
            self.running = True

    def collect(self, rows: Sequence[Row]) -> Tuned | None:
        """Return a new result once; None if there is none. If it failed, `problem` says why.

        Args:
            rows: Rows to return embeddings for; the database may have more by now.
        """
        result = self.process.status()
        if not self.running or result["state"] == "running":
            return None
        self.running = False
        if result["state"] == "failed":
            self.problem = result["reason"]
            return None
        embeddings = self.read_embeddings(rows) if result["better"] else None
        return Tuned(result["labels"], result["before"], result["after"], embeddings)

    def read_embeddings(self, rows: Sequence[Row]) -> np.ndarray:
        """Read the embeddings of rows by their keys, and delete the file."""
        with np.load(self.out) as stored:
            position = {key: i for i, key in enumerate(stored["keys"].tolist())}
            embeddings = stored["embeddings"][[position[row.key] for row in rows]]
        self.out.unlink()
        return embeddings

    def stop(self) -> None:
        """End the process and delete its files."""
        self.process.stop()
        self.folder.cleanup()
