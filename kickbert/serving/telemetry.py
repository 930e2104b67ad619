"""Prometheus metrics of a service: requests, seconds, texts, batches, and the queue. They never contain a text."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kickbert.inference.predictor import Predictor

SIZES = (1, 2, 4, 8, 16, 32, 64)


class Telemetry:
    """Metrics of one application.

    Args:
        waiting: returns the number of texts in the queue.
    """

    def __init__(self, waiting: Callable[[], int]):
        registry = CollectorRegistry()
        self.registry = registry
        self.requests = Counter("kickbert_requests", "Answered requests.", ["path", "status"], registry=registry)
        self.seconds = Histogram("kickbert_request_seconds", "Seconds per request.", ["path"], registry=registry)
        self.texts = Counter("kickbert_texts", "Classified texts.", registry=registry)
        self.batches = Histogram("kickbert_batch_texts", "Texts per batch.", buckets=SIZES, registry=registry)
        self.model = Gauge("kickbert_model", "Loaded models.", ["name", "version", "backend"], registry=registry)
        queue = Gauge("kickbert_queue_texts", "Texts in the queue.", registry=registry)
        queue.set_function(waiting)

    def loaded(self, models: Mapping[str, Predictor]) -> None:
        """Record which models answer from now on."""
        self.model.clear()
        for name, model in models.items():
            self.model.labels(name, model.artifact.version, model.backend.name).set(1)

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
