"""The model behind a service: it answers in batches, explains, labels files, and is exchanged while it answers."""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool

from kickbert.inference.backends import Backend
from kickbert.inference.batch_prediction import PredictedFile, predict_file
from kickbert.inference.predictor import BATCH, Predictor, load
from kickbert.models.artifact import ArtifactError
from kickbert.serving.batcher import Batcher
from kickbert.serving.csv_files import check_csv, escape_formulas
from kickbert.serving.telemetry import Telemetry
from kickbert.targets.outputs import prediction_records
from kickbert.utils.batching import length_batches

PIECE = 500  # rows of a file that are read at a time
LONGER = "or start the service with a longer --timeout"
CHARS = 2**20  # of texts that are tokenised at a time
AREA = 2**18  # rows times tokens squared of a call: what attention takes, 13 MB of scores with twelve heads


@dataclass(frozen=True)
class Settings:
    """What a service is run with.

    Args:
        folder: of the model; its latest version is read, and read again on a reload.
        backend, threads: as for `kickbert.load`.
        api_key: that requests must bring in `X-API-Key`; None for none.
        private_metrics: whether `/metrics` and `/openapi.json` ask for the key too.
        most_bytes: of a body.
        most_chars: of a text, and of a row of a file.
        most_texts: of a request; no more than `room`, or they would never be taken.
        most_rows: of a file.
        room: queue length, in texts.
        batch, wait: as for `Batcher`.
        timeout: seconds after which texts and explanations are given up.
        file_timeout: seconds after which a file is given up.
        upload_timeout: seconds for a body to arrive.
        jobs: explanations and files at a time.
        examples: texts that the page offers to try.
    Raises:
        ValueError: an API key that no header can bring, or private metrics without a key.
    """

    folder: str | Path
    backend: str = "auto"
    threads: int | None = None
    api_key: str | None = None
    private_metrics: bool = False
    most_bytes: int = 10 * 2**20
    most_chars: int = 100_000
    most_texts: int = 1_000
    most_rows: int = 10_000
    room: int = 4_096
    batch: int = BATCH
    wait: float = 0.002
    timeout: float = 4.0
    file_timeout: float = 60.0
    upload_timeout: float = 60.0
    jobs: int = 4
    examples: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        key = self.api_key
        if key is not None and not (key and key.isascii() and key.isprintable() and key == key.strip()):
            raise ValueError(
                f"an API key of {len(key)} characters that is empty, or not printable ASCII without spaces around it, "
                "protects nothing or lets nobody in; give another one, or none (unset KICKBERT_API_KEY)"
            )
        if self.private_metrics and key is None:
            raise ValueError("private_metrics=True asks for the API key, and there is none; give an api_key too")
        object.__setattr__(self, "most_texts", min(self.most_texts, self.room))


class Busy(Exception):
    """There is more to do than can be done in time."""


class Stopping(Exception):
    """The service is being stopped, and what was asked would take longer than that."""


class _ServiceBackend:
    """A model's backend for one piece of work: within what a service may take, and until `check` raises.

    Args:
        backend: of the model.
        slots: so many calls run at a time, whatever is asked.
        check: called before each.
    """

    def __init__(self, backend: Backend, slots: threading.Semaphore, check: Callable[[], None]):
        self.backend, self.slots, self.check = backend, slots, check
        self.name, self.workers, self.spare = backend.name, backend.workers, backend.spare

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        rows = len(ids) if document_weights is not None else max(1, AREA // ids.shape[1] ** 2)
        parts = []
        for at in range(0, len(ids), rows):
            with self.slots:
                self.check()
                parts.append(self.backend(ids[at : at + rows], mask[at : at + rows], document_weights))
        return np.concatenate(parts)


class Service:
    """A model that answers requests.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: Settings):
        self.settings, self.jobs = settings, 0
        self.model: Predictor | None = None
        self.batcher: Batcher | None = None
        self.slots = threading.Semaphore()
        self.ends = math.inf  # on `time.monotonic`: when work is to be over, once the service is being stopped
        self.telemetry = Telemetry(lambda: self.batcher.waiting if self.batcher else 0)

    async def start(self) -> None:
        """Load the model and begin to answer."""
        await self.reload()
        settings, workers = self.settings, self.model.backend.workers
        self.slots = threading.Semaphore(workers)
        self.batcher = Batcher(self._predict_batch, settings.batch, settings.wait, settings.room, workers)
        self.batcher.on_batch = self.telemetry.batches.observe
        self.batcher.start()

    def close(self) -> None:
        """Let explanations and files that take longer than `timeout` from now on end with `Stopping`."""
        self.ends = time.monotonic() + self.settings.timeout

    async def stop(self) -> None:
        """Answer what was taken, then end."""
        if self.batcher is not None:
            await self.batcher.stop()

    async def reload(self) -> str:
        """Load the latest version beside the one that answers, then let it answer; the name of the version.

        Raises:
            ArtifactError: it cannot be read, or has other columns or labels; the one before goes on answering.
        """
        settings = self.settings
        model = await run_in_threadpool(load, settings.folder, settings.backend, threads=settings.threads)
        if self.model is not None and (model.text_col, model.labels) != (self.model.text_col, self.model.labels):
            raise ArtifactError(
                f"{model.artifact.version} reads {model.text_col} and predicts {model.labels[:5]}, other columns or "
                f"labels than {self.model.artifact.version}, which clients know; start the service anew for it"
            )
        await run_in_threadpool(model.predict_proba, [[""] * len(model.text_col)])  # the first call takes longer
        self.model = model
        self.telemetry.serving(model.artifact.version, model.backend.name)
        return model.artifact.version

    def _predict_batch(self, texts: list[tuple[Predictor, Any]], check: Callable[[], None]) -> np.ndarray:
        """Probabilities of texts, each by the model that answered when it came, and whether there is no text."""
        out = np.empty(len(texts), dtype=object)
        for model in {id(m): m for m, _ in texts}.values():
            places = np.array([i for i, (m, _) in enumerate(texts) if m is model])
            within, chars = self._within(model, check), np.array([sum(map(len, _cells(texts[i][1]))) for i in places])
            for piece in length_batches(chars, tokens=CHARS):
                read, empty = model.read([texts[i][1] for i in places[piece]])
                for i, *row in zip(places[piece], within.probabilities_of(read, BATCH), empty, strict=True):
                    out[i] = row
        return out

    async def predict(self, texts: list, min_confidence: float | None = None) -> dict:
        """Predictions of texts, as JSON.

        Raises:
            QueueFull: too many wait already.
            TimeoutError: it took too long.
        """
        model, seconds = self.model, self.settings.timeout
        try:
            rows = await asyncio.wait_for(self.batcher([(model, text) for text in texts]), seconds)
        except TimeoutError:
            raise _too_long(seconds, f"send fewer or shorter texts at a time, {LONGER}") from None
        self.telemetry.texts.inc(len(texts))
        probs, empty = map(np.stack, zip(*rows, strict=True))
        predictions = prediction_records(model.target, probs, model.decide(probs), empty, min_confidence)
        return {"version": model.artifact.version, "predictions": predictions}

    async def explain(self, text: Any, label: str | None) -> dict:
        """Words for and against a class, as JSON.

        Raises:
            Busy: so many jobs are done already.
            TimeoutError, Stopping: it took too long.
            ValueError: no such class.
        """
        if self.model.read([text])[1].all():
            return {"label": None, "value": None, "words": []}
        advice = f"send a shorter text, {LONGER}"
        result = await self._job(lambda model: model.explain(text, label), self.settings.timeout, advice)
        words = [{"word": w, "score": float(score)} for w, score in zip(result.words, result.scores, strict=True)]
        return {"label": result.label, "value": result.value, "words": words}

    async def label(self, content: bytes) -> tuple[bytes, PredictedFile]:
        """A CSV file with predictions beside its rows, its formulas made harmless, and a report of the rows.

        Raises:
            TooLarge: too many rows or columns, or a row that is too long.
            ValueError: no CSV, or one without the text columns.
            Busy: so many jobs are done already.
            TimeoutError, Stopping: it took too long.
        """
        settings = self.settings

        def predict(model: Predictor) -> tuple[bytes, PredictedFile]:
            check_csv(content, settings.most_rows, settings.most_chars)
            with TemporaryDirectory() as folder:
                source, out = Path(folder) / "in.csv", Path(folder) / "out.csv"
                source.write_bytes(content)
                try:
                    report = predict_file(model, source, out, piece=PIECE)
                except ValueError as err:
                    raise ValueError(str(err).replace(str(source), "the file")) from err
                report.notes = [note.replace(source.name, "the file") for note in report.notes]
                return escape_formulas(out), report

        advice = "send fewer rows at a time, use kickbert predict, or start the service with a longer --file-timeout"
        return await self._job(predict, settings.file_timeout, advice)

    async def _job(self, work: Callable[[Predictor], Any], seconds: float, advice: str) -> Any:
        """Work in a thread, with a model that stops when time is up."""
        if self.jobs >= self.settings.jobs:
            raise Busy(f"{self.jobs} explanations or files are being worked on already; try again later")
        until = time.monotonic() + seconds

        def check() -> None:
            if time.monotonic() > self.ends:
                raise Stopping
            if time.monotonic() > until:
                raise _too_long(seconds, advice)

        self.jobs += 1
        try:
            return await run_in_threadpool(work, self._within(self.model, check))
        finally:
            self.jobs -= 1

    def _within(self, model: Predictor, check: Callable[[], None]) -> Predictor:
        """The model, for one piece of work."""
        return Predictor(model.artifact, _ServiceBackend(model.backend, self.slots, check))


def _cells(text: str | dict[str, str]) -> list[str]:
    """The columns of a text."""
    return list(text.values()) if isinstance(text, dict) else [text]


def _too_long(seconds: float, advice: str) -> TimeoutError:
    return TimeoutError(f"it took over {seconds:g} s; {advice}")
