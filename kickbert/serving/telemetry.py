"""What a service tells Prometheus: requests, seconds, texts, batches, the queue; never a text."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Telemetry:
    """The metrics of one service.

    Args:
        waiting: tells how many texts wait.
    """

    def __init__(self, waiting: Callable[[], int]):
        self.registry = CollectorRegistry()
        on = {"registry": self.registry}
        self.requests = Counter("kickbert_requests", "Requests answered.", ["path", "status"], **on)
        self.seconds = Histogram("kickbert_request_seconds", "Seconds from request to answer.", ["path"], **on)
        self.texts = Counter("kickbert_texts", "Texts answered.", **on)
        self.batches = Histogram("kickbert_batch_texts", "Texts of a batch.", buckets=(1, 2, 4, 8, 16, 32, 64), **on)
        self.model = Gauge("kickbert_model", "The model that answers: 1.", ["version", "backend"], **on)
        Gauge("kickbert_queue_texts", "Texts that wait.", **on).set_function(waiting)

    def serving(self, version: str, backend: str) -> None:
        """A model answers from now on."""
        self.model.clear()
        self.model.labels(version, backend).set(1)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)


class Measured:
    """ASGI middleware that counts and times requests by route."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry):
        self.app, self.telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            # The route's own path: what somebody typed would make a metric of every typing error.
            path = getattr(scope.get("route"), "path", "none")
            self.telemetry.requests.labels(path, status).inc()
            self.telemetry.seconds.labels(path).observe(time.perf_counter() - start)
