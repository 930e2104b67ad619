"""The model, or models, behind a service: answers in batches, explanations, files, and an exchange while it answers."""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool

from kickbert.data.batching import length_batches
from kickbert.inference.backends import Backend
from kickbert.inference.batch_prediction import PredictedFile, predict_file
from kickbert.inference.predictor import BATCH, Predictor, load
from kickbert.inference.shared_prefix import ManyPredictors, load_many
from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.serving.batcher import Batcher
from kickbert.serving.csv_files import check_csv, escape_formulas
from kickbert.serving.settings import Settings
from kickbert.serving.telemetry import Telemetry
from kickbert.targets.outputs import prediction_records

PIECE = 500  # rows of a file that are read at a time
LONGER = "or start the service with a longer --timeout"
CHARS = 2**20  # of texts that are tokenised at a time
AREA = 2**18  # rows times tokens squared of a call: what attention takes, 13 MB of scores with twelve heads


class UnknownModel(ValueError):
    """No model of that name answers, or several do and none is named."""


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


Model = Predictor | ManyPredictors


def models_of(model: Model) -> dict[str, Predictor]:
    """The models that answer, by name."""
    return model.models if isinstance(model, ManyPredictors) else {model.artifact.name: model}


def version_of(model: Model) -> str:
    """The version of a model; of several each after its name."""
    versions = {name: one.artifact.version for name, one in models_of(model).items()}
    several = isinstance(model, ManyPredictors)
    return ", ".join(f"{name} {version}" if several else version for name, version in versions.items())


def _parts(model: Model) -> list[Predictor]:
    """What answers a text each by itself: a model, or those of several that read it alike, as one."""
    return model.parts if isinstance(model, ManyPredictors) else [model]


class Service:
    """A model that answers requests, or several that answer each of them.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: Settings):
        self.settings, self.jobs = settings, 0
        self.model: Model | None = None
        self.batcher: Batcher | None = None
        self.slots = threading.Semaphore()
        self.ends = math.inf  # on `time.monotonic`: when work is to be over, once the service is being stopped
        self.telemetry = Telemetry(lambda: self.batcher.waiting if self.batcher else 0)

    async def start(self) -> None:
        """Load the model and begin to answer."""
        await self.reload()
        settings, workers = self.settings, max(part.backend.workers for part in _parts(self.model))
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
        model = await run_in_threadpool(self._load)
        before = {} if self.model is None else models_of(self.model)
        for name, one in models_of(model).items():
            known = before.get(name, one)
            if (one.text_col, one.labels) != (known.text_col, known.labels):
                raise ArtifactError(
                    f"{one.artifact.version} reads {one.text_col} and predicts {one.labels[:5]}, other columns or "
                    f"labels than {known.artifact.version}, which clients know; start the service anew for it"
                )
        for part in _parts(model):
            await run_in_threadpool(part.predict_proba, [[""] * len(part.text_col)])  # the first call takes longer
        self.model = model
        self.telemetry.serving(version_of(model), _parts(model)[0].backend.name)
        return version_of(model)

    def _load(self) -> Model:
        settings = self.settings
        if settings.several:
            return load_many(settings.folder)
        return load(settings.folder, settings.backend, threads=settings.threads)

    def named(self, name: str | None) -> Predictor:
        """The model of a name; without a name the only one.

        Raises:
            UnknownModel: there is none, or there are several.
        """
        models = models_of(self.model)
        if name is None and len(models) == 1:
            return next(iter(models.values()))
        if name not in models:
            raise UnknownModel(f"model={name!r} is not one of {list(models)}; name one of them: ?model=…")
        return models[name]

    def _predict_batch(self, texts: list[tuple[Model, Any]], check: Callable[[], None]) -> np.ndarray:
        """Of each text, by each part of the model that answered when it came: probabilities, whether it is empty."""
        out = np.empty(len(texts), dtype=object)
        for model in {id(m): m for m, _ in texts}.values():
            places = np.array([i for i, (m, _) in enumerate(texts) if m is model])
            chars = np.array([sum(map(len, _cells(texts[i][1]))) for i in places])
            parts = [self._within(part, check) for part in _parts(model)]
            for piece in length_batches(chars, tokens=CHARS):
                items = [texts[i][1] for i in places[piece]]
                for i, *row in zip(places[piece], *(_answers(part, items) for part in parts), strict=True):
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
        responses = {}
        for part, answers in zip(_parts(model), zip(*rows, strict=True), strict=True):
            probs, empty = map(np.stack, zip(*answers, strict=True))
            for name, own in (part.split(probs) if self.settings.several else {"": probs}).items():
                one = model.models[name] if self.settings.several else model
                predictions = prediction_records(one.target, own, one.decide(own), empty, min_confidence)
                responses[name] = {"version": one.artifact.version, "predictions": predictions}
        return {"models": responses} if self.settings.several else responses[""]

    async def explain(self, text: Any, label: str | None, name: str | None = None) -> dict:
        """Words for and against a class, as JSON, by the model of a name.

        Raises:
            Busy: so many jobs are done already.
            TimeoutError, Stopping: it took too long.
            ValueError: no such class.
        """
        chosen = self.named(name)
        if chosen.read([text])[1].all():
            return {"label": None, "value": None, "words": []}
        advice = f"send a shorter text, {LONGER}"
        result = await self._job(chosen, lambda model: model.explain(text, label), self.settings.timeout, advice)
        words = [{"word": w, "score": float(score)} for w, score in zip(result.words, result.scores, strict=True)]
        return {"label": result.label, "value": result.value, "words": words}

    async def label(self, content: bytes, name: str | None = None) -> tuple[bytes, PredictedFile]:
        """A CSV file with a model's predictions beside its rows, formulas made harmless, and a report of the rows.

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
                    report = predict_file(model, source, out, chunk_rows=PIECE)
                except ValueError as err:
                    raise ValueError(str(err).replace(str(source), "the file")) from err
                report.notes = [note.replace(source.name, "the file") for note in report.notes]
                return escape_formulas(out), report

        advice = "send fewer rows at a time, use kickbert predict, or start the service with a longer --file-timeout"
        return await self._job(self.named(name), predict, settings.file_timeout, advice)

    async def _job(self, model: Predictor, work: Callable[[Predictor], Any], seconds: float, advice: str) -> Any:
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
            return await run_in_threadpool(work, self._within(model, check))
        finally:
            self.jobs -= 1

    def _within(self, model: Predictor, check: Callable[[], None]) -> Predictor:
        """The model, for one piece of work."""
        within = object.__new__(type(model))  # `copy` would open its folder again
        vars(within).update({name: value for name, value in vars(model).items() if name != "_pool"})
        within.backend = _ServiceBackend(model.backend, self.slots, check)
        return within


def _answers(model: Predictor, items: list) -> list[tuple[np.ndarray, bool]]:
    """Of each text its probabilities, and whether it is empty."""
    texts, empty = model.read(items)
    return list(zip(model.probabilities_of(texts, BATCH), empty, strict=True))


def _cells(text: str | dict[str, str]) -> list[str]:
    """The columns of a text."""
    return list(text.values()) if isinstance(text, dict) else [text]


def _too_long(seconds: float, advice: str) -> TimeoutError:
    return TimeoutError(f"it took over {seconds:g} s; {advice}")
