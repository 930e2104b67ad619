"""Options of a service: models, limits, timeouts, access."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kickbert.inference.predictor import BATCH
from kickbert.text.cleaning_steps import Step


@dataclass(frozen=True)
class Settings:
    """Options of a service.

    Args:
        folder: model folder, whose latest version is loaded, at the start and at each reload. With several folders,
            each model answers every text; models that share a frozen encoder run it once, as by `kickbert.load_many`.
        backend, threads: as for `kickbert.load`.
        api_key: key that requests must send in `X-API-Key`; None for no key.
        private_metrics: whether `/metrics` and `/openapi.json` require the key too.
        max_bytes: maximum size of a request body.
        max_chars: maximum characters per text, and per row of a file.
        max_texts: maximum texts per request.
        max_rows: maximum rows per file.
        queue_size: maximum number of texts that wait; a request with more is never accepted.
        batch, wait: as for `Batcher`.
        timeout: seconds after which texts and explanations are abandoned.
        file_timeout: seconds after which a file is abandoned.
        upload_timeout: seconds in which a request body must arrive.
        jobs: maximum number of explanations and files at the same time.
        examples: texts that the page offers to try.
        functions: custom cleaning functions that the models were trained with.
    Raises:
        ValueError: The API key cannot be sent in a header, or metrics are private and there is no key.
    """

    folder: str | Path | Sequence[str | Path]
    backend: str = "auto"
    threads: int | None = None
    api_key: str | None = None
    private_metrics: bool = False
    max_bytes: int = 10 * 2**20
    max_chars: int = 100_000
    max_texts: int = 1_000
    max_rows: int = 10_000
    queue_size: int = 4_096
    batch: int = BATCH
    wait: float = 0.002
    timeout: float = 4.0
    file_timeout: float = 60.0
    upload_timeout: float = 60.0
    jobs: int = 4
    examples: tuple[str, ...] = ()
    functions: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        key = self.api_key
        if key is not None and not (key and key.isascii() and key.isprintable() and key == key.strip()):
            raise ValueError(
                "the API key must be printable ASCII, not empty, without spaces around it; change it, or unset "
                "KICKBERT_API_KEY to serve without a key"
            )
        if self.private_metrics and key is None:
            raise ValueError("private_metrics=True needs an API key; set api_key too")
