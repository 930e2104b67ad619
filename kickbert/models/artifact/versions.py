"""The versions of a model: write one atomically, list them, point to the latest, add a file."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.manifest import MANIFEST, file_entry, write_manifest
from kickbert.utils.atomic_files import fresh_folder, patiently, replacing
from kickbert.utils.hub import UnavailableModel, snapshot

if TYPE_CHECKING:
    from kickbert.models.artifact.reading import Artifact

LATEST = "latest"


def versions(home: str | Path) -> list[str]:
    """List the versions of a model, oldest first."""
    names = [p.name for p in Path(home).expanduser().iterdir() if re.fullmatch(r"v\d+", p.name) and p.is_dir()]
    return sorted(names, key=lambda name: int(name[1:]))


def version_folder(folder: Path) -> Path:
    """Return the folder of a version: the folder itself, the latest of its versions, or a download from the Hub.

    Raises:
        ArtifactError: no such folder or model, or the pointer to the latest version is wrong.
    """
    if not folder.is_dir():
        try:
            return snapshot(folder.as_posix(), MANIFEST)
        except UnavailableModel as err:
            raise ArtifactError(str(err)) from err
    pointer = folder / LATEST
    if (folder / MANIFEST).exists() or not pointer.is_file():
        return folder
    name = pointer.read_text(encoding="utf-8", errors="replace").strip()
    if not re.fullmatch(r"v\d+", name) or not (folder / name).is_dir():
        raise ArtifactError(f"{pointer} contains {name[:40]!r}, not a version. Versions: {versions(folder)}")
    return folder / name


def set_latest(home: str | Path, version: str) -> None:
    """Point `latest` to a version, atomically for every reader.

    Raises:
        ArtifactError: the version does not exist.
    """
    home = Path(home).expanduser()
    if version not in versions(home):
        raise ArtifactError(f"version={version!r} does not exist in {home}. Versions: {versions(home)}")
    with replacing(home / LATEST) as part:
        part.write_text(f"{version}\n", encoding="utf-8")


def write_artifact(home: str | Path, fill: Callable[[Path], None]) -> Path:
    """Write a new version and point `latest` to it; a kill at any time leaves the earlier versions intact.

    Args:
        home: the folder of all versions.
        fill: function that writes the files of the version into a folder.
    Returns:
        The folder of the version.
    Raises:
        ArtifactError: it could not be written, for example because the disk is full; nothing is changed.
    """
    home = Path(home).expanduser()
    try:
        with fresh_folder(home) as part:
            fill(part)
            write_manifest(part, {p.name: file_entry(p) for p in sorted(part.iterdir())})
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
            patiently(os.rename, part, folder)
            return folder
        except OSError:
            if not folder.exists():  # otherwise another process took the number
                raise


def add_file(artifact: "Artifact", name: str, write: Callable[[Path], None]) -> "Artifact":
    """Add a file to a version, such as an exported model, or replace it.

    Args:
        artifact: the version.
        name: the file.
        write: function that writes the file to a path.
    Returns:
        The version with the file.
    """
    others = {key: entry for key, entry in artifact.manifest.items() if key != name}
    with replacing(artifact.folder / name) as part:
        write(part)
        entry = file_entry(part)
        if name in artifact.manifest:  # a kill before the end must not leave the digest of the replaced file
            write_manifest(artifact.folder, others)
    manifest = others | {name: entry}
    write_manifest(artifact.folder, manifest)
    return replace(artifact, manifest=manifest)
