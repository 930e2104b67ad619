"""A trained model as a folder that anyone can load: written as a whole, checked before it is read, never a pickle.

models/k/latest          the name of a version
models/k/v1, v2, …       kickbert.json, config.json, model.safetensors, head.safetensors, tokenizer.json, README.md,
                         model.onnx, … and manifest.json: size and sha256 of each
"""

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from kickbert.models.metadata import METADATA, TARGETS, ArtifactError, check_shape, read_json, usable
from kickbert.targets.kinds import Target, from_dict
from kickbert.text.cleaning import Cleaner
from kickbert.text.cleaning_steps import Step
from kickbert.text.tokenization import TokenEncoder
from kickbert.utils.atomic_files import fresh_folder, replacing
from kickbert.utils.hashing import digest, file_digest
from kickbert.utils.hub import UnavailableModel, repository, snapshot

FORMAT = 1  # a reader of this number reads it and all before
INFO, MANIFEST, LATEST, CARD = "kickbert.json", "manifest.json", "latest", "README.md"
TOKENIZER, WEIGHTS, HEAD = "tokenizer.json", "model.safetensors", "head.safetensors"
OF_TRANSFORMERS = (".json", ".jinja", ".model", ".safetensors", ".txt")  # files that its `from_pretrained` may read


@dataclass(frozen=True)
class Artifact:
    """A version of a model, on disk.

    Args:
        folder: of the version.
        metadata: what `kickbert.json` says.
        manifest: size and sha256 of each file.
        functions: cleaning steps of one's own that it uses.
    """

    folder: Path
    metadata: dict[str, Any]
    manifest: dict[str, dict]
    functions: tuple[Step, ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.manifest

    def file(self, name: str) -> Path:
        """The path of a file, once its size and digest are those of the manifest.

        Raises:
            ArtifactError: it is not there, was cut short or changed.
        """
        path = self.folder / name
        if name not in self.manifest:
            raise ArtifactError(f"{self.folder} has no {name}; it has {sorted(self.manifest)}")
        if not path.is_file():
            raise ArtifactError(f"{path} is missing, though the manifest lists it; copy the folder again")
        entry, size = self.manifest[name], path.stat().st_size
        if size != entry["bytes"]:
            raise ArtifactError(
                f"{path} has {size:,} bytes and should have {entry['bytes']:,}: it was cut short or changed; copy the "
                "folder again"
            )
        if file_digest(path) != entry["sha256"]:
            raise ArtifactError(f"{path} was changed since it was written (its sha256 differs); copy the folder again")
        return path

    def folder_for_transformers(self) -> Path:
        """The folder, once all that `from_pretrained` may read in it is what the manifest lists, and nothing else.

        Raises:
            ArtifactError: a file is not there, was cut short, changed or added.
        """
        listed = {name for name in self.manifest if name.endswith(OF_TRANSFORMERS)}
        strange = sorted({path.name for path in self.folder.glob("*.json")} - listed - {MANIFEST})
        if strange:
            raise ArtifactError(
                f"{self.folder} holds {strange[0]}, which its manifest does not list; move it elsewhere"
            )
        for name in listed:
            self.file(name)
        return self.folder

    @property
    def version(self) -> str:
        """The name of the version's folder."""
        return self.folder.name

    @property
    def name(self) -> str:
        """The name of the model: of the folder that has its versions."""
        home = self.folder.resolve().parent
        return (home if (home / LATEST).exists() else self.folder).name

    @property
    def identity(self) -> str:
        """A hash of all that predictions depend on: its files, but for the card, which people write in."""
        return digest(json.dumps(sorted((name, e["sha256"]) for name, e in self.manifest.items() if name != CARD)))

    @cached_property
    def target(self) -> Target:
        """The target: what is predicted."""
        with usable(self.folder / INFO, KeyError, TypeError, ValueError):
            return from_dict(self.metadata["target"])

    @cached_property
    def cleaner(self) -> Cleaner | None:
        """The cleaning of texts before they are tokenised; None for none."""
        steps = self.metadata["cleaning"]
        with usable(self.folder / INFO, TypeError):  # a ValueError names the step that `functions` lacks
            return None if steps is None else Cleaner.from_json(json.dumps({"cleaning": steps}), self.functions)

    @cached_property
    def token_encoder(self) -> TokenEncoder:
        """Texts to token ids."""
        path = self.file(TOKENIZER)
        with usable(path, Exception):  # which is what tokenizers raises
            tokenizer = Tokenizer.from_file(str(path))
        with usable(self.folder / INFO, TypeError, ValueError):
            return TokenEncoder(tokenizer, **self.metadata["tokens"])

    @property
    def thresholds(self) -> float | np.ndarray:
        """Decision thresholds of the probabilities of several labels: one, or one for each, shape (classes,)."""
        thresholds = self.metadata["thresholds"]
        return np.array(thresholds) if isinstance(thresholds, list) else thresholds

    @property
    def card(self) -> str:
        """The model card, Markdown, with what people have written into it since; empty where there is none."""
        path = self.folder / CARD
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def flat_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """What `kickbert.json` says of a model, as one level: for a report's table and a tracked run's parameters.

    Args:
        metadata: of an artifact, or of a learner or predictor (`model.metadata`).
    """
    kept = ("created", "task", "text_col", "label_col", "cleaning", "temperature", "precision", "backend")
    flat = {name: metadata[name] for name in kept if name in metadata}
    parts = {"encoder": "encoder", "head": "head", "tokens": "tokens", "data": "data"}
    flat |= {f"{title}: {key}": value for part, title in parts.items() for key, value in metadata[part].items()}
    return flat | metadata["versions"]


def read_artifact(folder: str | Path, functions: Iterable[Step] = ()) -> Artifact:
    """Read and check the metadata of a version; weights are checked when a backend asks for them.

    Args:
        folder: of a version, or of all versions of a model, of which the one that `latest` names is read; or
            "user/name" on the hub.
        functions: cleaning steps of your own that the model was trained with.
    Raises:
        ArtifactError: no artifact, one of a newer format, or one that was cut short or changed.
    """
    folder = _version(Path(folder))
    files = _manifest(folder)
    lacking = [name for name in (INFO, TOKENIZER) if name not in files]
    if lacking:
        raise ArtifactError(f"{folder} has no {' and no '.join(lacking)}; save the artifact again")
    bare = Artifact(folder, {}, files, tuple(functions))
    for name in (INFO, TOKENIZER):
        bare.file(name)
    metadata = read_json(folder / INFO)
    check_shape(metadata, METADATA, folder / INFO)
    check_shape(metadata["target"], TARGETS.get(metadata["target"]["kind"], {}), folder / INFO, "target")
    artifact = replace(bare, metadata=metadata)
    _ = artifact.target, artifact.cleaner  # what cannot be read is to fail here, and not when it is used
    return artifact


def _manifest(folder: Path) -> dict[str, dict]:
    """Size and sha256 of the files of a version, as its manifest lists them."""
    manifest = read_json(folder / MANIFEST)
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not files:
        raise ArtifactError(f"{folder / MANIFEST} lists no files; a manifest lists files of its folder")
    odd = [name for name in files if Path(name).name != name or name in ("", ".", "..") or len(name) > 255]
    if odd:
        raise ArtifactError(f"{folder / MANIFEST} lists {odd[:3]}; a manifest lists files of its folder")
    number = manifest.get("format", 0)
    if not isinstance(number, int) or number > FORMAT:
        raise ArtifactError(
            f"{folder} is of format {number!r}, and this kickbert reads up to {FORMAT}; update it: "
            "pip install --upgrade kickbert"
        )
    check_shape(files, {name: {"bytes": int, "sha256": str} for name in files}, folder / MANIFEST)
    return files


def _version(folder: Path) -> Path:
    """The folder of a version: itself, or the one that its pointer names."""
    if not folder.is_dir():
        try:
            return snapshot(repository(folder.as_posix()), MANIFEST)
        except UnavailableModel as err:
            raise ArtifactError(str(err)) from err
    pointer = folder / LATEST
    if (folder / MANIFEST).exists() or not pointer.is_file():
        return folder
    name = pointer.read_text(encoding="utf-8", errors="replace").strip()
    if not re.fullmatch(r"v\d+", name) or not (folder / name).is_dir():
        known = versions(folder)
        raise ArtifactError(f"{pointer} names {name[:40]!r}, which is none of {known}; write one of them in it")
    return folder / name


def versions(home: str | Path) -> list[str]:
    """The versions of a model, the oldest first."""
    names = [p.name for p in Path(home).iterdir() if re.fullmatch(r"v\d+", p.name) and p.is_dir()]
    return sorted(names, key=lambda name: int(name[1:]))


def write_artifact(home: str | Path, fill: Callable[[Path], None]) -> Path:
    """Write a new version, and let `latest` name it: a kill at any time leaves what was there before.

    Args:
        home: of all versions.
        fill: writes the files of the version into the folder it is given.
    Returns:
        The folder of the version.
    Raises:
        ArtifactError: it could not be written, for want of room, say; nothing is changed then.
    """
    home = Path(home)
    try:
        with fresh_folder(home) as part:
            fill(part)
            _write_manifest(part, {p.name: _entry(p) for p in sorted(part.iterdir())})
            folder = _claim_version(part, home)
    except Exception as err:  # safetensors has its own error for a full disk
        if isinstance(err, OSError) or type(err).__name__ == "SafetensorError":
            raise ArtifactError(f"{home}: the artifact could not be written ({err}); nothing was changed") from err
        raise
    set_latest(home, folder.name)
    return folder


def _claim_version(part: Path, home: Path) -> Path:
    """Rename a filled folder to the next free version."""
    while True:
        folder = home / f"v{max((int(name[1:]) for name in versions(home)), default=0) + 1}"
        try:
            os.rename(part, folder)
            return folder
        except OSError:
            if not folder.exists():  # else another process took the number
                raise


def set_latest(home: str | Path, version: str) -> None:
    """Let `latest` name a version, at once for every reader.

    Raises:
        ArtifactError: no such version.
    """
    home = Path(home)
    if version not in versions(home):
        raise ArtifactError(f"version={version!r} is none of {versions(home)} in {home}")
    with replacing(home / LATEST) as part:
        part.write_text(f"{version}\n", encoding="utf-8")


def add_file(artifact: Artifact, name: str, write: Callable[[Path], None]) -> Artifact:
    """Add a file to a version, such as an exported model.

    Args:
        name: of the file.
        write: writes it to the path it is given.
    Returns:
        The version with it.
    """
    others = {key: entry for key, entry in artifact.manifest.items() if key != name}
    with replacing(artifact.folder / name) as part:
        write(part)
        entry = _entry(part)
        if name in artifact.manifest:  # a kill between here and the end must not leave a digest of what was replaced
            _write_manifest(artifact.folder, others)
    manifest = others | {name: entry}
    _write_manifest(artifact.folder, manifest)
    return Artifact(artifact.folder, artifact.metadata, manifest, artifact.functions)


def _entry(path: Path) -> dict:
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}


def _write_manifest(folder: Path, files: dict[str, dict]) -> None:
    with replacing(folder / MANIFEST) as part:
        part.write_text(json.dumps({"format": FORMAT, "files": files}, indent=1), encoding="utf-8")
