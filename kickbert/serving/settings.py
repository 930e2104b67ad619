"""What a service is run with: which models, how they answer, and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kickbert.inference.predictor import BATCH
from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.reading import read_artifact
from kickbert.targets.kinds import ORDINAL, SINGLE

Folders = str | Path | Sequence[str | Path] | Mapping[str, str | Path]


@dataclass(frozen=True)
class Settings:
    """What a service is run with.

    Args:
        folder: of the model; its latest version is read, and read again on a reload. Of several models that answer
            each text, as for `kickbert.load_many`.
        backend, threads: as for `kickbert.load`; several models answer by "torch".
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
        ValueError: an API key that no header can bring, private metrics without a key, or a backend that several models
            cannot have.
    """

    folder: Folders
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
        if self.several and self.backend not in ("auto", "torch"):
            raise ValueError(f"backend={self.backend!r} is for one model; several share layers by 'torch' alone")
        object.__setattr__(self, "most_texts", min(self.most_texts, self.room))

    @property
    def several(self) -> bool:
        """Whether several models answer."""
        return not isinstance(self.folder, str | Path)

    def reads(self) -> tuple[list[str], list[str], bool]:
        """Text columns, names of the classes, and whether each text gets one of them, by the artifacts' metadata.

        Raises:
            ArtifactError: no artifact, or several models of other columns.
        """
        given = self.folder.values() if isinstance(self.folder, Mapping) else self.folder
        artifacts = [read_artifact(folder) for folder in (given if self.several else [self.folder])]
        columns = [artifact.metadata["text_col"] for artifact in artifacts]
        for artifact, own in zip(artifacts, columns, strict=True):
            if own != columns[0]:
                raise ArtifactError(
                    f"{artifact.name} reads {own}, and {artifacts[0].name} {columns[0]}; serve models of other columns "
                    "apart"
                )
        labels = list(dict.fromkeys(label for artifact in artifacts for label in artifact.target.names))
        return columns[0], labels, all(artifact.metadata["task"] in (SINGLE, ORDINAL) for artifact in artifacts)
