"""Models behind a service: predictions in batches, explanations, files, and a reload while they answer."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

import numpy as np
from starlette.concurrency import run_in_threadpool

from kickbert.data.batching import length_batches
from kickbert.inference.backends.backend import Backend, BackendOf
from kickbert.inference.batch_prediction import PredictedFile, predict_file
from kickbert.inference.many_tasks import Folders, TaskPredictors, load_many, read_tasks, shares_pass
from kickbert.inference.predictor import BATCH, Predictor
from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.serving.batcher import Batcher
from kickbert.serving.csv_files import check_csv, escape_formulas
from kickbert.serving.settings import Settings
from kickbert.serving.telemetry import Telemetry
from kickbert.tabular.column_model import names_beside
from kickbert.targets.outputs import prediction_records

CHUNK = 500  # rows of a file that are predicted at a time
CHARS = 2**20  # characters that are tokenized at a time
AREA = 2**18  # rows times squared tokens per call, which bounds attention scores to 13 MB with twelve heads
ADVICE = "or start the service with a longer --timeout"
T = TypeVar("T")


class Busy(Exception):
    """Too many explanations and files are in progress."""


class Stopping(Exception):
    """The service is shutting down, and the work would take too long."""


class LimitedBackend(BackendOf):
    """A backend for a single job: few rows per call, few calls at a time, until `check` raises.

    Args:
        backend: backend of the model.
        slots: limits how many calls run at the same time.
        check: called before each call.
    """

    def __init__(self, backend: Backend, slots: threading.Semaphore, check: Callable[[], None]):
        super().__init__(backend)
        self.slots = slots
        self.check = check

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        rows = len(ids) if document_weights is not None else max(1, AREA // ids.shape[1] ** 2)
        parts = []
        for at in range(0, len(ids), rows):
            with self.slots:
                self.check()
                parts.append(self.backend(ids[at : at + rows], mask[at : at + rows], document_weights))
        return np.concatenate(parts)


class Row(NamedTuple):
    """The answer to a text: the models, their probabilities, shape (outputs,), and whether the text is empty."""

    models: TaskPredictors
    probs: np.ndarray
    empty: bool


class Service:
    """A model that answers requests, or several that share one pass of their encoder.

    Args:
        folders: folder of the model, or folders of several by name.
        settings: limits and timeouts.
        telemetry: counts texts and batches.
    Raises:
        ArtifactError: A folder is not a model, or cannot be read.
        ValueError: The models cannot share a pass.
    """

    def __init__(self, folders: Folders, settings: Settings, telemetry: Telemetry):
        self.folders = folders
        self.settings = settings
        self.telemetry = telemetry
        self.jobs = 0
        self.ends = math.inf  # time.monotonic() at which all work must end
        self.models = load_many(folders, settings.backend, functions=settings.functions, threads=settings.threads)
        workers = self.models.backend.workers
        self.slots = threading.Semaphore(workers)
        self.batcher = Batcher(
            self._predict_batch,
            settings.batch,
            settings.wait,
            settings.queue_size,
            workers,
            telemetry.batches.observe,
        )

    async def start(self) -> None:
        """Start answering."""
        await run_in_threadpool(_warm_up, self.models)
        self.batcher.start()

    def close(self) -> None:
        """Announce a shutdown: explanations and files that take over `timeout` from now on raise `Stopping`."""
        self.ends = time.monotonic() + self.settings.timeout

    async def stop(self) -> None:
        """Answer everything that was accepted, then stop."""
        await self.batcher.stop()

    def load_latest(self) -> TaskPredictors:
        """Load the latest version of each model; they do not answer yet.

        Raises:
            ArtifactError: A version cannot be read, has other columns or labels, or another encoder.
        """
        try:
            models = load_many(
                self.folders, self.settings.backend, functions=self.settings.functions, threads=self.settings.threads
            )
        except ValueError as err:
            raise ArtifactError(f"{err}; or restart the service, which then runs an encoder for each") from err
        for name, running in self.models.tasks.items():
            model = models[name]
            read, expected = ([*m.text_col, *names_beside(m.columns)] for m in (model, running))
            if (read, model.labels) != (expected, running.labels):
                raise ArtifactError(
                    f"{model.artifact.version} reads {read} and predicts "
                    f"{model.labels[:5]}: other columns or labels than {running.artifact.version}, which is running; "
                    "restart the service to change them"
                )
        _warm_up(models)
        return models

    def _predict_batch(self, texts: list[dict[str, Any]], check: Callable[[], None]) -> list[Row]:
        models = self._limited(check)
        rows: list[Any] = [None] * len(texts)
        chars = np.array([sum(len(text[column]) for column in models.text_col) for text in texts])
        for positions in length_batches(chars, tokens=CHARS):
            items = [texts[i] for i in positions]
            cleaned, empty = models.read(items)
            probs = models.with_columns(models.probabilities_of(cleaned, BATCH), items)
            for i, *answer in zip(positions, probs, empty, strict=True):
                rows[i] = Row(models, *answer)
        return rows

    async def predict(self, texts: list[dict[str, Any]], min_confidence: float | None = None) -> dict[str, Any]:
        """Predict texts; each is a dict from column to cell.

        Returns:
            The fields of `PredictionResponse`, by name of the model.
        Raises:
            QueueFull: Too many texts are waiting.
            TimeoutError: The prediction took too long.
        """
        seconds = self.settings.timeout
        try:
            rows = await asyncio.wait_for(self.batcher(texts), seconds)
        except TimeoutError:
            raise _too_long(seconds, f"send fewer or shorter texts at a time, {ADVICE}") from None
        models = rows[0].models
        self.telemetry.texts.inc(len(texts) * len(models))
        probs = models.split(np.stack([row.probs for row in rows]))
        empty = np.array([row.empty for row in rows])
        answers = {}
        for name, model in models.tasks.items():
            decided = model.decide(probs[name])
            predictions = prediction_records(model.target, probs[name], decided, empty, min_confidence)
            answers[name] = {"version": model.artifact.version, "predictions": predictions}
        return answers

    async def explain(self, name: str, text: dict[str, Any], label: str | None) -> dict[str, Any]:
        """Explain a prediction of one model by the attribution of each word to a class.

        Returns:
            The fields of `ExplanationResponse`.
        Raises:
            Busy: Too many explanations and files are in progress.
            TimeoutError, Stopping: The explanation took too long.
            ValueError: The class does not exist.
        """
        if self.models.read([text])[1].all():
            return {"label": None, "value": None, "words": [], "columns": []}

        def explain(model: Predictor) -> dict[str, Any]:
            result = model.explain(text, label)
            words = [{"word": w, "score": float(score)} for w, score in zip(result.words, result.scores, strict=True)]
            columns = [{"column": name, "score": score} for name, score in result.columns.items()]
            return {"label": result.label, "value": result.value, "words": words, "columns": columns}

        return await self._job(name, explain, self.settings.timeout, f"send a shorter text, {ADVICE}")

    async def predict_csv(self, name: str, content: bytes) -> tuple[bytes, PredictedFile]:
        """Predict the rows of a CSV file by one model.

        Returns:
            The rows with predictions, formulas escaped, and a report.
        Raises:
            TooLarge: There are too many rows or columns, or a row is too long.
            ValueError: The content is not CSV, or lacks a text column.
            Busy: Too many explanations and files are in progress.
            TimeoutError, Stopping: The file took too long.
        """
        settings = self.settings

        def predict(model: Predictor) -> tuple[bytes, PredictedFile]:
            check_csv(content, settings.max_rows, settings.max_chars)
            with TemporaryDirectory() as folder:
                source = Path(folder) / "in.csv"
                out = Path(folder) / "out.csv"
                source.write_bytes(content)
                try:
                    report = predict_file(model, source, out, chunk_rows=CHUNK)
                except ValueError as err:
                    raise ValueError(str(err).replace(str(source), "the file")) from err
                report.notes = [note.replace(source.name, "the file") for note in report.notes]
                return escape_formulas(out), report

        advice = "send fewer rows at a time, run kickbert predict, or start the service with a longer --file-timeout"
        return await self._job(name, predict, settings.file_timeout, advice)

    async def _job(self, name: str, work: Callable[[Predictor], T], seconds: float, advice: str) -> T:
        """Run work in a thread, with one of the models, which stops when the time is over."""
        if self.jobs >= self.settings.jobs:
            raise Busy(f"explanations and files in progress: {self.jobs}, which is the maximum; try again later")
        until = time.monotonic() + seconds

        def check() -> None:
            if time.monotonic() > self.ends:
                raise Stopping("the service is shutting down; try again later")
            if time.monotonic() > until:
                raise _too_long(seconds, advice)

        self.jobs += 1
        try:
            return await run_in_threadpool(work, self._limited(check)[name])
        finally:
            self.jobs -= 1

    def _limited(self, check: Callable[[], None]) -> TaskPredictors:
        """Return the models for a single job."""
        return TaskPredictors(self.models.artifacts, LimitedBackend(self.models.backend, self.slots, check))


def open_services(settings: Settings, telemetry: Telemetry) -> dict[str, Service]:
    """Load the models of a service, by name; models that share an encoder have the same `Service`.

    Raises:
        ArtifactError: A folder is not a model, or the models have different text columns.
        ValueError: Two models have the same name.
    """
    folders = [settings.folder] if isinstance(settings.folder, str | Path) else settings.folder
    artifacts = read_tasks(folders, settings.functions)
    folder_of = dict(zip(artifacts, folders, strict=True))
    first_name, first = next(iter(artifacts.items()))
    groups: list[list[str]] = []
    for name, artifact in artifacts.items():
        columns, expected = artifact.metadata["text_col"], first.metadata["text_col"]
        if columns != expected:
            raise ArtifactError(
                f"{name} reads {columns}, and {first_name} reads {expected}; models with different text columns need a "
                "service each"
            )
        for group in groups:
            if shares_pass(artifacts[group[0]], artifact, settings.backend):
                group.append(name)
                break
        else:
            groups.append([name])
    services: dict[str, Service] = {}
    for group in groups:
        services |= dict.fromkeys(group, Service({name: folder_of[name] for name in group}, settings, telemetry))
    return {name: services[name] for name in artifacts}


async def reload_models(services: Iterable[Service]) -> None:
    """Load the latest version of each model, then let all of them answer; requests in progress are not affected.

    Raises:
        ArtifactError: A version cannot be read, has other columns or labels, or another encoder; all stay as they are.
    """
    unique = list(dict.fromkeys(services))
    latest = [await run_in_threadpool(service.load_latest) for service in unique]
    for service, models in zip(unique, latest, strict=True):
        service.models = models


def _warm_up(models: TaskPredictors) -> None:
    """Predict an empty text, because the first call takes longer."""
    models.probabilities_of(models.read([[""] * len(models.text_col)])[0])


def _too_long(seconds: float, advice: str) -> TimeoutError:
    return TimeoutError(f"the request took over {seconds:g} s; {advice}")
