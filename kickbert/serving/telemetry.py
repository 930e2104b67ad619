"""Prometheus metrics of a service: requests, seconds, texts, batches, the queue; never a text."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Telemetry:
    """The metrics of one service.

    Args:
        waiting: returns how many texts wait.
    """

    def __init__(self, waiting: Callable[[], int]):
        self.registry = CollectorRegistry()
        on = {"registry": self.registry}
        self.requests = Counter("kickbert_requests", "Requests answered.", ["path", "status"], **on)
        self.seconds = Histogram("kickbert_request_seconds", "Seconds from request to response.", ["path"], **on)
        self.texts = Counter("kickbert_texts", "Texts classified.", **on)
        self.batches = Histogram(
            "kickbert_batch_texts", "Batch size, in texts.", buckets=(1, 2, 4, 8, 16, 32, 64), **on
        )
        self.model = Gauge("kickbert_model", "The model that answers: 1.", ["version", "backend"], **on)
        Gauge("kickbert_queue_texts", "Queue length, in texts.", **on).set_function(waiting)

    def serving(self, version: str, backend: str) -> None:
        """Record which model answers from now on."""
        self.model.clear()
        self.model.labels(version, backend).set(1)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
