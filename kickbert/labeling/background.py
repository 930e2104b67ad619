"""What runs behind the page: a model that is fitted anew after every few labels.

rows → embeddings, once → every few labels: fit → probabilities of all rows → a queue of texts → an assessment
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
from sklearn.preprocessing import normalize

from kickbert.evaluation.explanation import Explanation
from kickbert.labeling.assessment import Assessment, assess, random_sample
from kickbert.labeling.classes import ClassList, present_labels
from kickbert.labeling.classifier import EmbeddingClassifier, explain_words, label_codes
from kickbert.labeling.database import Label, LabelDatabase, Row
from kickbert.labeling.strategies import cold_start, rank
from kickbert.labeling.tuning import EncoderTuning, Tuned
from kickbert.targets.kinds import MULTI

Embed = Callable[[list[str]], np.ndarray]
ZeroShot = Callable[[list[str], dict[str, str | None]], pd.DataFrame]
QUEUE = 60  # texts chosen ahead: more than are labelled before the next fit
CHUNK = 256  # texts embedded at a time
STEPS = ((50, 5), (200, 10), (2**62, 25))  # up to so many labels there is a fit after so many
PATIENCE = 2.0  # seconds to wait for the embedder or the thread, and between looks at what others have labelled


@dataclass(frozen=True)
class Fit:
    """A fitted model, and what it makes of the rows.

    Args:
        classes: names, in the order of the probabilities.
        features: embeddings of all rows that it was fitted on, shape (rows, width).
        words: the same on the embeddings of the encoder as it came: the page has no other to embed parts of texts by.
        labels, latest: how many it was fitted on, and the id of the last one.
        probabilities: of all rows, float64, shape (rows, classes); of a row not embedded yet they mean nothing.
        predicted: codes of all rows.
        seconds: that it took to fit, to score all rows and to choose among them.
    """

    model: EmbeddingClassifier
    features: np.ndarray
    words: EmbeddingClassifier
    classes: list[str]
    labels: int
    latest: int
    probabilities: np.ndarray
    predicted: np.ndarray
    seconds: float


class BackgroundModel:
    """A model that is never far behind the labels.

    Args:
        database: where labels come from; other processes may add to them.
        rows, texts: of the database, n of each.
        embed: texts to embeddings, shape (texts, width); it is called from one thread at a time.
        zero_shot: texts, and classes with their descriptions, to a frame with columns `prob_<class>`; None for a start
            from clusters.
        strategy: of `kickbert.labeling.query`.
        tuning: of the encoder, which is stopped with the model; None for an encoder that stays as it is.
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
        self.database, self.rows, self.texts, self.zero_shot = database, rows, texts, zero_shot
        self.strategy, self.seed, self.tuning = strategy, seed, tuning
        self.tuned: Tuned | None = None  # what came of it last
        self.place = {row.id: i for i, row in enumerate(rows)}
        self.there = np.array([row.position is not None for row in rows], dtype=bool)
        self.embeddings, self.embedded = np.zeros((0, 0), dtype=np.float32), np.zeros(len(rows), dtype=bool)
        labelled = [self.place[label.row] for label in self._known(database.labels())]
        self._order = list(dict.fromkeys([*labelled, *range(len(rows))]))  # a model as soon as may be
        self._embed, self._embedding = embed, threading.Lock()
        self.fit: Fit | None = None
        self.assessment: Assessment | None = None
        self.problem: str | None = None
        self._queue, self._queued_of = deque(), 0  # places and strategies; of how many embedded rows
        self._predictions: deque[tuple[list[str], np.ndarray]] = deque(maxlen=3)
        self._stopped, self._wake = False, threading.Event()
        self._thread = threading.Thread(target=self._work, name="kickbert-labeling", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End the work, after what is being done, or in the midst of it where that takes long."""
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)
        if self.tuning is not None:
            self.tuning.stop()

    def wake(self) -> None:
        """Look at once whether there are labels enough for another fit."""
        self._wake.set()

    def take(self) -> tuple[int, str] | None:
        """The most wanted text and the strategy that chose it; None where none is chosen yet."""
        queue = self._queue  # the thread may put another one in its place
        return queue.popleft() if queue else None

    def suggestion(self, place: int) -> dict | None:
        """The label that the model predicts for a row, and its probability; None before there is a model."""
        fit = self.fit
        if fit is None or not self.embedded[place]:
            return None
        code, probabilities = fit.predicted[place], fit.probabilities[place]
        if fit.model.task == MULTI:
            names = [fit.classes[i] for i in np.flatnonzero(code)]
            return {"label": names, "confidence": float(np.maximum(probabilities, 1 - probabilities).min())}
        return {"label": fit.classes[code], "confidence": float(probabilities[code])}

    def words(self, place: int, suggested: Sequence[str]) -> Explanation | None:
        """What the words of a text add to what was suggested for it, even if a later fit predicts something else.

        None before there is a model, for classes that it does not know, while it embeds, and where the encoder as it
        came, by which words are weighed, contradicts the tuned one: its words would speak for something else.

        Args:
            suggested: names of classes; the most probable of several is explained.
        """
        fit = self.fit
        codes = [fit.classes.index(name) for name in suggested if name in fit.classes] if fit is not None else []
        if not codes or not self.embedded[place]:
            return None
        code = max(codes, key=fit.probabilities[place].__getitem__)
        if fit.words is not fit.model:
            decided = fit.words.decide(fit.words.predict_proba(self.embeddings[[place]]))[0]
            if not (decided[code] if fit.model.task == MULTI else decided == code):
                return None
        if not self._embedding.acquire(timeout=PATIENCE):
            return None
        try:
            predict = lambda texts: fit.words.predict_proba(normalize(self._embed(texts)))  # noqa: E731
            return explain_words(self.texts[place], fit.classes[code], code, predict)
        finally:
            self._embedding.release()

    def _work(self) -> None:
        while not self._stopped:
            try:
                busy = self.step()
                self.problem = None
            except Exception as err:  # whatever it is, labelling goes on, and the page says it
                self.problem, busy = f"The model could not be fitted: {' '.join(str(err).split())}", False
            if not busy:
                self._wake.wait(PATIENCE)
                self._wake.clear()

    def step(self) -> bool:
        """Do what is most wanted: a fit, a first queue, or embeddings; whether there was anything to do."""
        labels = [label for label in self._known(present_labels(self.database)) if self.embedded[self.place[label.row]]]
        classes = [c.name for c in ClassList(self.database)()]
        self._tune(labels)
        if self._due(labels, classes) and self._refit(labels, classes):
            return True
        ready = int(self.embedded.sum())
        if self.fit is None and self._queued_of < ready and (self._queued_of == 0 or ready == len(self.rows)):
            self._choose_without_model(classes)
            return True
        return self._embed_some()

    def _due(self, labels: list[Label], classes: list[str]) -> bool:
        if self.fit is None:
            return len(labels) >= STEPS[0][1]
        every = next(step for up_to, step in STEPS if len(labels) <= up_to)
        new = sum(label.id > self.fit.latest for label in labels)
        gone = self.fit.labels - (len(labels) - new)  # undone, or replaced
        return max(new, gone) >= every or self.fit.classes != classes or self.fit.features is not self._features()

    def _tune(self, labels: list[Label]) -> None:
        """Begin to tune the encoder where that is due, once all is embedded; the last result says which one is used."""
        if self.tuning is not None and self.embedded.all():
            self.tuned = self.tuning.collect(self.rows) or self.tuned
            self.tuning.begin(labels, self.database.task)

    def _features(self) -> np.ndarray:
        """Embeddings to fit on, of all rows."""
        better = self.tuned is not None and self.tuned.embeddings is not None
        return self.tuned.embeddings if better else self.embeddings

    def _embed_some(self) -> bool:
        places = [i for i in self._order[:CHUNK] if not self.embedded[i]]
        if not places:
            return False
        with self._embedding:
            embeddings = normalize(self._embed([self.texts[i] for i in places]))
        if not len(self.embeddings):
            self.embeddings = np.zeros((len(self.rows), embeddings.shape[1]), dtype=np.float32)
        self.embeddings[places] = embeddings
        self.embedded[places] = True
        self._order = self._order[CHUNK:]
        return True

    def _choose_without_model(self, classes: list[str]) -> None:
        self._queued_of = int(self.embedded.sum())  # where the zero-shot classifier fails, work goes on without it
        free = self._free()
        scores, strategy = None, "clusters"
        if self.zero_shot is not None and len(classes) > 1:
            described = {c.name: c.description for c in ClassList(self.database)()}
            frame = self.zero_shot([self.texts[i] for i in free], described)
            scores, strategy = frame.filter(like="prob_").to_numpy(float), "zero_shot"
        order = free[cold_start(self.embeddings[free], QUEUE, scores, self.seed)]
        self._queue = deque((int(i), strategy) for i in order)

    def _free(self) -> np.ndarray:
        """Places of embedded rows that can be asked, shape (rows,)."""
        free = self.embedded & self.there
        free[[self.place[label.row] for label in self._known(self.database.labels())]] = False
        return np.flatnonzero(free)

    def _known(self, labels: list[Label]) -> list[Label]:
        """Labels of the rows that there were at the start: another process may have added rows."""
        return [label for label in labels if label.row in self.place]

    def _refit(self, labels: list[Label], classes: list[str]) -> bool:
        """Fit, score all rows, choose, then judge; False where there is nothing to tell apart yet."""
        start = time.perf_counter()
        places = np.array([self.place[label.row] for label in labels])
        codes = label_codes([label.label for label in labels], classes, self.database.task)
        model = EmbeddingClassifier(self.database.task, len(classes))
        if not model.can_fit(codes):
            return False
        features = self._features()
        probabilities = model.fit(features[places], codes).predict_proba(features)
        order = rank(probabilities, self._free(), QUEUE, self.strategy, features, places, self.seed + len(labels))
        queue = deque((i, self.strategy) for i in islice(order, QUEUE))
        seconds = time.perf_counter() - start
        latest = max(label.id for label in labels)
        words = model
        if features is not self.embeddings:
            words = EmbeddingClassifier(self.database.task, len(classes)).fit(self.embeddings[places], codes)
        self.fit = Fit(
            model, features, words, classes, len(labels), latest, probabilities, model.decide(probabilities), seconds
        )
        self._queue = queue
        self._judge(labels, codes, places)
        self.database.checkpoint()
        return True

    def _judge(self, labels: list[Label], codes: np.ndarray, places: np.ndarray) -> None:
        """Judge by the encoder as it came: a tuned one has seen these labels, wrong ones too, and would look better."""
        fit = self.fit
        if self.embedded.all():
            self._predictions.append((fit.classes, fit.predicted))
        history = self._known(self.database.labels(history=True))
        times = Counter(label.row for label in history)
        alike = [predicted for classes, predicted in self._predictions if classes == fit.classes]
        self.assessment = assess(
            fit.model, self.embeddings[places], codes, labels, fit.classes, random_sample(self.rows, history),
            {row for row, count in times.items() if count > 1}, alike,
        )  # fmt: skip
