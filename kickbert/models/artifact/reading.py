"""Read an artifact: find the version, check its files, build its target, cleaner and token encoder."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from kickbert.models.artifact.json_checks import ArtifactError, check_shape, read_json, usable
from kickbert.models.artifact.manifest import (
    CARD,
    COLUMNS,
    INFO,
    MANIFEST,
    TOKENIZER,
    Files,
    checked_file,
    read_manifest,
)
from kickbert.models.artifact.metadata import METADATA
from kickbert.models.artifact.versions import LATEST, version_folder
from kickbert.tabular.column_model import ColumnModel
from kickbert.targets import fitting  # noqa: F401 - registers every kind of target
from kickbert.targets.base import Target, from_dict
from kickbert.text.cleaning import Cleaner
from kickbert.text.cleaning_steps import Step
from kickbert.text.tokenization import TokenEncoder
from kickbert.utils.hashing import digest

READ_BY_TRANSFORMERS = (".json", ".jinja", ".model", ".safetensors", ".txt")  # files that `from_pretrained` may read


@dataclass(frozen=True)
class Artifact:
    """One version of a model on disk.

    Args:
        folder: the folder of the version.
        metadata: the content of `kickbert.json`.
        manifest: size and sha256 of each file.
        functions: the user's cleaning functions that it needs.
    """

    folder: Path
    metadata: dict[str, Any]
    manifest: Files
    functions: tuple[Step, ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.manifest

    def file(self, name: str) -> Path:
        """Return the path of a file after comparing its size and digest with the manifest.

        Raises:
            ArtifactError: the file is missing, incomplete or changed.
        """
        return checked_file(self.folder, self.manifest, name)

    def checked_folder(self, *needed: str) -> Path:
        """Return the folder after checking every file that `from_pretrained` may read, and those in `needed`.

        Raises:
            ArtifactError: a file is missing, incomplete, changed or not in the manifest.
        """
        listed = {name for name in self.manifest if name.endswith(READ_BY_TRANSFORMERS)}
        unlisted = sorted({path.name for path in self.folder.glob("*.json")} - listed - {MANIFEST})
        if unlisted:
            raise ArtifactError(f"{self.folder} has a file that its manifest does not list: {unlisted[0]}; move it")
        for name in listed.union(needed):
            self.file(name)
        return self.folder

    @property
    def version(self) -> str:
        """The name of the version's folder."""
        return self.folder.name

    @property
    def name(self) -> str:
        """The name of the model, from the folder that holds its versions."""
        home = self.folder.resolve().parent
        return (home if (home / LATEST).exists() else self.folder).name

    @property
    def identity(self) -> str:
        """A hash of every file that predictions depend on: all but the card, which people may edit."""
        return digest(json.dumps(sorted((name, e["sha256"]) for name, e in self.manifest.items() if name != CARD)))

    @cached_property
    def target(self) -> Target:
        """The prediction target."""
        with usable(self.folder / INFO, KeyError, TypeError, ValueError):
            return from_dict(self.metadata["target"])

    @cached_property
    def cleaner(self) -> Cleaner | None:
        """The text cleaning, or None."""
        steps = self.metadata["cleaning"]
        with usable(self.folder / INFO, TypeError):  # a ValueError names the function missing from `functions`
            return None if steps is None else Cleaner.from_json(json.dumps({"cleaning": steps}), self.functions)

    @cached_property
    def token_encoder(self) -> TokenEncoder:
        """Turns texts into token ids."""
        path = self.file(TOKENIZER)
        with usable(path, Exception):  # tokenizers raises plain Exception
            tokenizer = Tokenizer.from_file(str(path))
        with usable(self.folder / INFO, TypeError, ValueError):
            return TokenEncoder(tokenizer, **self.metadata["tokens"])

    @cached_property
    def columns(self) -> ColumnModel | None:
        """The model of the columns beside the text; None without such columns."""
        content = self.metadata.get("columns")
        if content is None:
            return None
        path = self.file(COLUMNS)
        with usable(path, Exception):  # of safetensors, and of arrays that do not fit
            return ColumnModel.from_parts(content, load_file(path))

    @property
    def thresholds(self) -> float | np.ndarray:
        """Decision thresholds of multi-label probabilities: one number, or one per class, shape (classes,)."""
        thresholds = self.metadata["thresholds"]
        return np.array(thresholds) if isinstance(thresholds, list) else thresholds

    @property
    def card(self) -> str:
        """The model card in Markdown, with later edits; empty if there is none."""
        path = self.folder / CARD
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def read_artifact(folder: str | Path, functions: Iterable[Step] = ()) -> Artifact:
    """Read and check the metadata of a version; a backend checks the weights when it needs them.

    Args:
        folder: the folder of a version, the folder of all versions (the latest is read), or "user/name" on the Hub.
        functions: the cleaning functions that the model was trained with.
    Raises:
        ArtifactError: not an artifact, a newer format, or incomplete or changed files.
    """
    folder = version_folder(Path(folder).expanduser())
    files = read_manifest(folder)
    missing = [name for name in (INFO, TOKENIZER) if name not in files]
    if missing:
        raise ArtifactError(f"{folder} has no {' and no '.join(missing)}; save the artifact again")
    for name in (INFO, TOKENIZER):
        checked_file(folder, files, name)
    metadata = read_json(folder / INFO)
    check_shape(metadata, METADATA, folder / INFO)
    kind = Target.kinds.get(metadata["target"]["kind"])
    if kind is not None:
        check_shape(metadata["target"], kind.json_fields, folder / INFO, "target")
    artifact = Artifact(folder, metadata, files, tuple(functions))
    _ = artifact.target, artifact.columns  # fail now, not at the first prediction
    return artifact
