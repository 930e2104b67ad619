"""The model behind the page, refitted after every few labels.

rows → embeddings, once → every few labels: fit → probabilities of all rows → a queue of texts → an assessment
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import normalize

from kickbert.evaluation.explanation import Explanation
from kickbert.labeling.assessment import Assessment, assess, random_sample
from kickbert.labeling.classes import ClassList, current_labels
from kickbert.labeling.classifier import EmbeddingClassifier, explain_words, label_codes
from kickbert.labeling.database import Label, LabelDatabase, Row
from kickbert.labeling.encoder_tuning import EncoderTuning, Tuned
from kickbert.labeling.strategies import cold_start, rank

Embed = Callable[[list[str]], np.ndarray]
ZeroShot = Callable[[list[str], dict[str, str | None]], pd.DataFrame]
QUEUE = 60  # texts chosen ahead: more than are labeled before the next fit
CHUNK = 256  # texts per call of the embedder
REFIT_EVERY = ((50, 5), (200, 10), (2**62, 25))  # up to this many labels, refit after this many new ones
PATIENCE = 2.0  # seconds to wait for the embedder or the thread, and between checks for labels of other processes


@dataclass(frozen=True)
class Fit:
    """A fitted model and its predictions."""

    model: EmbeddingClassifier
    features: np.ndarray  # embeddings of all rows that it was fitted on, shape (rows, width)
    explainer: EmbeddingClassifier  # fitted on the original encoder's embeddings, to explain suggestions
    classes: list[str]  # names in the order of the probabilities
    labels: int  # number of labels it was fitted on
    latest: int  # id of the last of them
    probabilities: np.ndarray  # float64, shape (rows, classes); meaningless for rows not embedded yet
    predicted: np.ndarray  # codes of all rows
    seconds: float  # to fit, to predict all rows and to choose among them


class BackgroundModel:
    """A model that keeps up with the labels in a thread.

    Args:
        database: The database; other processes may add labels.
        rows: Its rows.
        texts: Their texts, one string per row.
        embed: Texts → embeddings, shape (texts, width). One thread calls it at a time.
        zero_shot: Texts and classes with descriptions → DataFrame with columns `prob_<class>`; None to start from
            clusters.
        strategy: A strategy of `kickbert.labeling.query`.
        seed: Seed of the strategy.
        tuning: Tunes the encoder, and is stopped with the model; None to keep the encoder as it is.
    """

    def __init__(
        self,
        database: LabelDatabase,
        rows: Sequence[Row],
        texts: Sequence[str],
        embed: Embed,
        zero_shot: ZeroShot | None = None,
        strategy: str = "breaking_ties",
        seed: int = 0,
        tuning: EncoderTuning | None = None,
    ):
        self.database = database
        self.rows = rows
        self.texts = texts
        self.zero_shot = zero_shot
        self.strategy = strategy
        self.seed = seed
        self.tuning = tuning
        self.tuned: Tuned | None = None  # the last result of tuning
        self.position = {row.id: i for i, row in enumerate(rows)}
        self.askable = np.array([row.position is not None for row in rows], dtype=bool)
        self.embeddings = np.zeros((0, 0), dtype=np.float32)
        self.embedded = np.zeros(len(rows), dtype=bool)
        self.fit: Fit | None = None
        self.assessment: Assessment | None = None
        self.problem: str | None = None
        labeled = [self.position[label.row] for label in self._known(database.labels())]
        self._to_embed = list(dict.fromkeys([*labeled, *range(len(rows))]))  # labeled rows first, for an early model
        self._embed = embed
        self.embedding = threading.Lock()  # held while the embedder works
        self._queue: deque[tuple[int, str]] = deque()  # positions and strategies
        self._queued_from = 0  # number of embedded rows that the first queue was chosen from
        self._predictions: deque[tuple[list[str], np.ndarray]] = deque(maxlen=3)
        self._stopped = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="kickbert-labeling", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread after its current step, without waiting for a long one."""
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)
        if self.tuning is not None:
            self.tuning.stop()

    def wake(self) -> None:
        """Check now whether there are enough labels for another fit."""
        self._wake.set()

    def take(self) -> tuple[int, str] | None:
        """Return the position of the next text and the strategy that chose it; None if the queue is empty."""
        queue = self._queue  # the thread may replace it
        return queue.popleft() if queue else None

    def suggestion(self, position: int) -> dict[str, Any] | None:
        """Return the predicted label of a row with its probability; None before there is a model."""
        fit = self.fit
        if fit is None or not self.embedded[position]:
            return None
        code = fit.predicted[position]
        probabilities = fit.probabilities[position]
        if fit.model.kind.is_multilabel:
            names = [fit.classes[i] for i in np.flatnonzero(code)]
            return {"label": names, "confidence": float(np.maximum(probabilities, 1 - probabilities).min())}
        return {"label": fit.classes[code], "confidence": float(probabilities[code])}

    def words(self, position: int, suggested: Sequence[str]) -> Explanation | None:
        """Explain a suggested label by the words of the text, even if a later fit predicts another label.

        Args:
            position: Position of the row.
            suggested: Class names; the most probable one is explained.
        Returns:
            None before there is a model, for unknown classes, while the embedder is busy, and if the original encoder,
            which scores the words, does not predict what the tuned one does.
        """
        fit = self.fit
        if fit is None or not self.embedded[position]:
            return None
        codes = [fit.classes.index(name) for name in suggested if name in fit.classes]
        if not codes:
            return None
        code = max(codes, key=fit.probabilities[position].__getitem__)
        if fit.explainer is not fit.model:
            decided = fit.explainer.decide(fit.explainer.predict_proba(self.embeddings[[position]]))[0]
            if not (decided[code] if fit.model.kind.is_multilabel else decided == code):
                return None
        if not self.embedding.acquire(timeout=PATIENCE):
            return None
        try:
            predict = lambda texts: fit.explainer.predict_proba(normalize(self._embed(texts)))  # noqa: E731
            return explain_words(self.texts[position], fit.classes[code], code, predict)
        finally:
            self.embedding.release()

    def _work(self) -> None:
        while not self._stopped:
            try:
                busy = self.step()
                self.problem = None
            except Exception as err:  # labeling goes on, and the page shows the problem
                self.problem = f"The model could not be fitted: {' '.join(str(err).split())}"
                busy = False
            if not busy:
                self._wake.wait(PATIENCE)
                self._wake.clear()

    def step(self) -> bool:
        """Do the most urgent work: a fit, a first queue, or embeddings. False if there was none."""
        every = self._known(current_labels(self.database))
        labels = [label for label in every if self.embedded[self.position[label.row]]]
        classes = ClassList(self.database).names()
        if self.tuning is not None and self.embedded.all():
            self.tuned = self.tuning.collect(self.rows) or self.tuned
            self.tuning.begin(labels)
        if self._refit_is_due(labels, classes) and self._refit(labels, classes):
            return True
        ready = int(self.embedded.sum())
        if self.fit is None and self._queued_from < ready and (self._queued_from == 0 or ready == len(self.rows)):
            self._choose_without_model(classes)
            return True
        return self._embed_some()

    def _refit_is_due(self, labels: list[Label], classes: list[str]) -> bool:
        if self.fit is None:
            return len(labels) >= REFIT_EVERY[0][1]
        if self.fit.classes != classes or self.fit.features is not self._features():
            return True
        new = sum(label.id > self.fit.latest for label in labels)
        gone = self.fit.labels - (len(labels) - new)  # undone or replaced
        return max(new, gone) >= next(every for up_to, every in REFIT_EVERY if len(labels) <= up_to)

    def _features(self) -> np.ndarray:
        """Return the embeddings of all rows to fit on: the tuned ones if they are better."""
        if self.tuned is not None and self.tuned.embeddings is not None:
            return self.tuned.embeddings
        return self.embeddings

    def _embed_some(self) -> bool:
        positions = [i for i in self._to_embed[:CHUNK] if not self.embedded[i]]
        if not positions:
            return False
        with self.embedding:
            embeddings = normalize(self._embed([self.texts[i] for i in positions]))
        if not len(self.embeddings):
            self.embeddings = np.zeros((len(self.rows), embeddings.shape[1]), dtype=np.float32)
        self.embeddings[positions] = embeddings
        self.embedded[positions] = True
        self._to_embed = self._to_embed[CHUNK:]
        return True

    def _choose_without_model(self, classes: list[str]) -> None:
        self._queued_from = int(self.embedded.sum())  # set first: if zero-shot fails, work goes on without it
        free = self._free()
        scores = None
        strategy = "clusters"
        if self.zero_shot is not None and len(classes) > 1:
            described = {c.name: c.description for c in ClassList(self.database)()}
            frame = self.zero_shot([self.texts[i] for i in free], described)
            scores = frame.filter(like="prob_").to_numpy(float)
            strategy = "zero_shot"
        order = free[cold_start(self.embeddings[free], QUEUE, scores, self.seed)]
        self._queue = deque((int(i), strategy) for i in order)

    def _free(self) -> np.ndarray:
        """Return the positions of embedded rows that can be shown next, shape (rows,)."""
        free = self.embedded & self.askable
        free[[self.position[label.row] for label in self._known(self.database.labels())]] = False
        return np.flatnonzero(free)

    def _known(self, labels: list[Label]) -> list[Label]:
        """Keep the labels of rows that existed at the start: another process may have added rows."""
        return [label for label in labels if label.row in self.position]

    def _refit(self, labels: list[Label], classes: list[str]) -> bool:
        """Fit, predict all rows, choose, then judge; False if the labels do not differ yet."""
        start = time.perf_counter()
        positions = np.array([self.position[label.row] for label in labels])
        codes = label_codes([label.label for label in labels], classes, self.database.task)
        model = EmbeddingClassifier(self.database.task, len(classes))
        if not model.can_fit(codes):
            return False
        features = self._features()
        probabilities = model.fit(features[positions], codes).predict_proba(features)
        order = rank(probabilities, self._free(), QUEUE, self.strategy, features, positions, self.seed + len(labels))
        queue = deque((i, self.strategy) for i in islice(order, QUEUE))
        seconds = time.perf_counter() - start
        explainer = model
        if features is not self.embeddings:
            explainer = EmbeddingClassifier(self.database.task, len(classes)).fit(self.embeddings[positions], codes)
        self.fit = Fit(
            model=model,
            features=features,
            explainer=explainer,
            classes=classes,
            labels=len(labels),
            latest=max(label.id for label in labels),
            probabilities=probabilities,
            predicted=model.decide(probabilities),
            seconds=seconds,
        )
        self._queue = queue
        self._judge(self.fit, labels, codes, positions)
        self.database.checkpoint()
        return True

    def _judge(self, fit: Fit, labels: list[Label], codes: np.ndarray, positions: np.ndarray) -> None:
        """Judge on the original encoder: a tuned one has seen these labels, so it would look better than it is."""
        if self.embedded.all():
            self._predictions.append((fit.classes, fit.predicted))
        history = self._known(self.database.labels(history=True))
        times = Counter(label.row for label in history)
        self.assessment = assess(
            fit.model,
            self.embeddings[positions],
            codes,
            labels,
            fit.classes,
            sample=random_sample(self.rows, history),
            confirmed={row for row, count in times.items() if count > 1},
            predictions=[predicted for classes, predicted in self._predictions if classes == fit.classes],
        )
