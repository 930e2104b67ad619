"""The model behind a service: it answers in batches, explains, labels files, and is exchanged while it answers."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool

from kickbert.inference.batch_prediction import predict_file
from kickbert.inference.predictor import BATCH, Predictor, load
from kickbert.models.artifact import ArtifactError
from kickbert.serving.batcher import Batcher
from kickbert.serving.telemetry import Telemetry
from kickbert.targets.outputs import prediction_records


@dataclass(frozen=True)
class Settings:
    """What a service is run with.

    Args:
        folder: of the model; its latest version is read, and read again on a reload.
        backend, threads: as for `kickbert.load`.
        api_key: that requests must bring in `X-API-Key`; None for none.
        most_bytes: of a body.
        most_chars: of a text.
        most_texts: of a request.
        room: texts that may wait.
        batch, wait: as for `Batcher`.
        timeout: seconds after which a request is given up.
        explaining: explanations at a time.
    """

    folder: str | Path
    backend: str = "auto"
    threads: int | None = None
    api_key: str | None = None
    most_bytes: int = 10 * 2**20
    most_chars: int = 100_000
    most_texts: int = 1_000
    room: int = 4_096
    batch: int = BATCH
    wait: float = 0.002
    timeout: float = 30.0
    explaining: int = 4


class Busy(Exception):
    """There is more to do than can be done in time."""


class Service:
    """A model that answers requests.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: Settings):
        self.settings, self.explaining = settings, 0
        self.model: Predictor | None = None
        self.batcher: Batcher | None = None
        self.telemetry = Telemetry(lambda: self.batcher.waiting if self.batcher else 0)

    async def start(self) -> None:
        """Load the model and begin to answer."""
        await self.reload()
        how = self.settings
        workers = self.model.backend.workers
        self.batcher = Batcher(lambda texts: self._answer(texts), how.batch, how.wait, how.room, workers)
        self.batcher.sizes = self.telemetry.batches.observe
        self.batcher.start()

    async def stop(self) -> None:
        """Prediction what was taken, then end."""
        if self.batcher is not None:
            await self.batcher.stop()

    async def reload(self) -> str:
        """Load the latest version beside the one that answers, then let it answer; the name of the version.

        Raises:
            ArtifactError: it cannot be read, or has other columns or labels; the one before goes on answering.
        """
        how = self.settings
        fresh = await run_in_threadpool(load, how.folder, how.backend, threads=how.threads)
        if self.model is not None and (fresh.text_col, fresh.labels) != (self.model.text_col, self.model.labels):
            raise ArtifactError(
                f"{fresh.artifact.version} reads {fresh.text_col} and tells {fresh.labels[:5]}, other columns or "
                f"labels than {self.model.artifact.version}, which clients know; start the service anew for it"
            )
        await run_in_threadpool(fresh.predict_proba, [[""] * len(fresh.text_col)])  # the first call takes longer
        self.model = fresh
        self.telemetry.serving(fresh.artifact.version, fresh.backend.name)
        return fresh.artifact.version

    def _answer(self, asked: list[tuple[Predictor, Any]]) -> np.ndarray:
        """Probabilities of texts, each by the model that was there when it was asked, and whether there is no text."""
        out = np.empty(len(asked), dtype=object)
        for model in {id(m): m for m, _ in asked}.values():
            places = [i for i, (m, _) in enumerate(asked) if m is model]
            texts, empty = model.read([asked[i][1] for i in places])
            for i, *row in zip(places, model.probabilities_of(texts, BATCH), empty, strict=True):
                out[i] = row
        return out

    async def predict(self, texts: list, min_confidence: float | None = None) -> dict:
        """PredictionResponse of texts, as JSON.

        Raises:
            QueueFull: too many wait already.
            TimeoutError: it took too long.
        """
        model = self.model
        found = await asyncio.wait_for(self.batcher([(model, text) for text in texts]), self.settings.timeout)
        self.telemetry.texts.inc(len(texts))
        probs, empty = map(np.stack, zip(*found, strict=True))
        said = prediction_records(model.target, probs, model.decide(probs), empty, min_confidence)
        return {"version": model.artifact.version, "predictions": said}

    async def explain(self, text: Any, label: str | None) -> dict:
        """Words for and against a class, as JSON.

        Raises:
            Busy: so many are explained already.
            ValueError: no such class.
        """
        if self.model.read([text])[1].all():
            return {"label": None, "value": None, "words": []}
        if self.explaining >= self.settings.explaining:
            raise Busy(f"{self.explaining} texts are being explained already")
        self.explaining += 1
        try:
            found = await run_in_threadpool(self.model.explain, text, label)
        finally:
            self.explaining -= 1
        words = [{"word": w, "score": float(s)} for w, s in zip(found.words, found.scores, strict=True)]
        return {"label": found.label, "value": found.value, "words": words}

    async def label(self, content: bytes) -> tuple[bytes, Any]:
        """A CSV with the answers beside its rows, and what is to be said of them.

        Raises:
            ValueError: no CSV, or one without the text columns.
        """

        def run() -> tuple[bytes, Any]:
            with TemporaryDirectory() as folder:
                source, out = Path(folder) / "in.csv", Path(folder) / "out.csv"
                source.write_bytes(content)
                done = predict_file(self.model, source, out)
                return out.read_bytes(), done

        try:
            return await run_in_threadpool(run)
        except ValueError as err:
            raise ValueError(str(err).split("in.csv ", 1)[-1]) from err
