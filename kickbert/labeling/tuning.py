"""What is trained in processes of its own while the page goes on: a tuned encoder, and the artifact.

each doubling of the labels → cross-validation: is a tuned encoder better? → embeddings of all rows → `BackgroundModel`
labels, once the button is pressed → an artifact
"""

import os
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from kickbert.labeling.classes import present_labels
from kickbert.labeling.database import Label, LabelDatabase, Row
from kickbert.targets.kinds import MULTI, SINGLE
from kickbert.text.tokenization import join_columns
from kickbert.utils.atomic_files import replacing

CONTEXT = get_context("spawn")  # a fork of a process with threads may hang
LOWEST = 19  # niceness: it runs when nobody else wants the core
FIRST, LEAST = 40, 4  # labels from which an encoder is tuned, and of each class: with fewer, folds lack a class
PATIENCE = 5.0  # seconds until a process that was asked to end is made to


class TaskProcess:
    """A function in a process of its own, which ends with this one, however that ends.

    Args:
        task: a function of a module, which returns a dict.
        arguments: of it.
        lowest: whether it takes what the others leave: lowest priority, one thread, and it prints nothing.
    """

    def __init__(self, task: Callable[..., dict[str, Any]], *arguments: Any, lowest: bool = False):
        self._call, self._lowest = (task, arguments), lowest
        self._lock, self._status = threading.Lock(), {"state": "none"}
        self.process: Any = None

    def start(self) -> None:
        """Begin, unless it is under way."""
        if self.status()["state"] == "running":
            return
        with self._lock:
            self._results, end = CONTEXT.Pipe(duplex=False)
            self.process = CONTEXT.Process(target=_run, args=(end, self._lowest, *self._call), daemon=True)
            self.process.start()
            end.close()
            self._status = {"state": "running"}

    def status(self) -> dict[str, Any]:
        """`state`: "none", "running", "done" with the result, or "failed" with the reason in a sentence."""
        with self._lock:
            if self._status["state"] == "running" and self._results.poll():
                try:
                    self._status = self._results.recv()
                except (EOFError, OSError):
                    self.process.join(PATIENCE)
                    reason = f"Its process was ended from outside, with code {self.process.exitcode}."
                    self._status = {"state": "failed", "reason": reason}
            return self._status

    def stop(self) -> None:
        """End it, done or not."""
        if self.process is not None and self.process.is_alive():
            self.process.terminate()
            self.process.join(PATIENCE)
            self.process.kill()


def _run(results: Connection, lowest: bool, task: Callable[..., dict[str, Any]], arguments: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the page ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if lowest:
        if hasattr(os, "nice"):
            os.nice(LOWEST)
        os.environ["OMP_NUM_THREADS"] = "1"  # torch is not imported yet, and reads it then
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the process
    try:
        result = {"state": "done", **task(*arguments)}
    except Exception as err:  # whatever it is, the page says it and goes on
        result = {"state": "failed", "reason": " ".join(str(err).split()) or type(err).__name__}
    results.send(result)


def _end_with_parent() -> None:
    """A process that was killed cannot end its children; its end of a pipe closes all the same."""
    parent_process().join()
    os._exit(1)


def tune_encoder(file: Path, out: Path, model: str) -> dict[str, Any]:
    """Tune the last layers on the labels of a database, if that predicts held-out labels better than leaving them.

    Args:
        file: that `kickbert label` wrote.
        out: file of the embeddings by the tuned encoder, of all rows, with their keys: only where it is better.
        model: hub id, folder or "minilm".
    Returns:
        labels, how many; before and after: accuracy in cross-validation of a logistic regression on the embeddings as
        they are, and by a tuned encoder; better, whether the file was written.
    Raises:
        ValueError: a class has too few labels for cross-validation.
    """
    from sklearn.preprocessing import normalize
    from threadpoolctl import threadpool_limits

    from kickbert.cache.embeddings import embed_by
    from kickbert.training.few_shot import FewRows, FewShot

    recipes = (FewShot(layers=0), FewShot())
    rows, texts, learn = _learner(file, model, out.parent)
    with threadpool_limits(1):  # NumPy's own threads, which were counted when it was imported
        few = FewRows(learn)
        recipe = few.choose(recipes)
        if not few.accuracies:
            raise ValueError(f"Labels were taken back meanwhile: some class has fewer than {LEAST}.")
        before, after = few.accuracies
        verdict = {"labels": len(few.train_rows), "before": before, "after": after, "better": recipe is recipes[1]}
        if verdict["better"]:
            for _ in few.train(recipe, few.train_rows):
                pass
            embeddings = normalize(embed_by(learn.model.eval(), learn.dls.tokenizer, texts, learn.cache.storage))
            with replacing(out) as part, part.open("wb") as stream:
                np.savez(stream, keys=np.array([row.key for row in rows]), embeddings=embeddings)
    return verdict


def _learner(file: Path, model: str, path: Path) -> tuple[list[Row], list[str], Any]:
    """All rows of a database, their texts, and a learner of those that are labelled, without validation rows."""
    import pandas as pd

    from kickbert.models.pooling import sentence_pooling
    from kickbert.training.factories import learner_from_df

    database = LabelDatabase(file)
    try:
        rows, labels = database.rows(), present_labels(database)
    finally:
        database.close()
    texts = join_columns(*zip(*(row.texts for row in rows), strict=True))
    text_of = dict(zip((row.id for row in rows), texts, strict=True))
    df = pd.DataFrame({"text": [text_of[label.row] for label in labels], "label": [label.label for label in labels]})
    task = MULTI if database.task == MULTI else SINGLE  # buckets of a scale are classes to the contrastive loss
    pooling = sentence_pooling(model) or "mean"  # as `embed` pools
    return rows, texts, learner_from_df(df, task=task, model=model, pooling=pooling, valid=0, path=path)


@dataclass(frozen=True)
class Tuned:
    """What cross-validation said of a tuned encoder, and what it makes of the rows.

    Args:
        labels: it was tuned on.
        before, after: accuracy in cross-validation, without and with tuning.
        embeddings: of all rows by the tuned encoder, normalised, float32, shape (rows, width); None where it is not
            better.
    """

    labels: int
    before: float
    after: float
    embeddings: np.ndarray | None


class EncoderTuning:
    """The last layers of the encoder, tuned anew whenever the labels have doubled, in a process of its own.

    Classes may be renamed or merged and labels undone meanwhile: what the process hands over are embeddings of texts,
    and the regression on them is fitted to the labels that there are then. At most they part classes that are one now.

    Args:
        file: the database.
        model: hub id, folder or "minilm".
    """

    def __init__(self, file: Path, model: str):
        self._folder = tempfile.TemporaryDirectory(prefix="kickbert-")
        self._out = Path(self._folder.name) / "embeddings.npz"
        self._process = TaskProcess(tune_encoder, file, self._out, model, lowest=True)
        self._next, self._collected, self.problem = FIRST, True, None

    @property
    def running(self) -> bool:
        """Whether it is under way, or what has come of it is not collected yet."""
        return not self._collected

    def begin(self, labels: Sequence[Label], task: str) -> None:
        """Begin if the labels have doubled since it was last begun, and each class that has labels has enough."""
        if len(labels) < self._next or not self._collected:
            return
        counts = Counter(name for label in labels for name in (label.label if task == MULTI else [label.label]))
        if len(counts) > 1 and min(counts.values()) >= LEAST:
            self._next, self.problem = 2 * len(labels), None
            self._process.start()
            self._collected = False

    def collect(self, rows: Sequence[Row]) -> Tuned | None:
        """What has come of it, once; None while there is nothing new. Where it failed, `problem` says why.

        Args:
            rows: that embeddings are wanted of; there may be more in the database by now.
        """
        result = self._process.status()
        if self._collected or result["state"] == "running":
            return None
        self._collected = True
        if result["state"] == "failed":
            self.problem = result["reason"]
            return None
        embeddings = self._read(rows) if result["better"] else None
        return Tuned(result["labels"], result["before"], result["after"], embeddings)

    def _read(self, rows: Sequence[Row]) -> np.ndarray:
        with np.load(self._out) as stored:
            place = {key: i for i, key in enumerate(stored["keys"].tolist())}
            embeddings = stored["embeddings"][[place[row.key] for row in rows]]
        self._out.unlink()
        return embeddings

    def stop(self) -> None:
        """End what is under way."""
        self._process.stop()
        self._folder.cleanup()


def train_from_labels(file: str | Path, out: str | Path, model: str = "minilm") -> dict[str, Any]:
    """Train a classifier on the labels of a database, and save it.

    Args:
        file: that `kickbert label` wrote.
        out: folder of the model; each training writes a new version.
        model: hub id, folder or "minilm".
    Returns:
        folder, of the version; rows, it was made of; scores, of the last phase on its validation rows.
    Raises:
        ValueError: labels of too few rows or classes.
    """
    from kickbert.labeling.tables import read

    df = read(file)
    from kickbert.training.factories import learner_from_df  # torch and fastai: not before it is known that they serve
    from kickbert.training.fitting import fit_default

    learn = learner_from_df(df, text_col=df.attrs["text_col"], task=df.attrs["task"], model=model, path=out)
    ladder = fit_default(learn)
    scores = ladder.iloc[-1][[m.name for m in learn.metrics]].astype(float).to_dict()
    return {"folder": str(learn.save_artifact(out)), "rows": len(df), "scores": scores}
