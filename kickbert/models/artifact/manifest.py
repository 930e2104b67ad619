"""The files of an artifact, and the manifest with the size and sha256 of each."""

import json
from pathlib import Path
from typing import Any

from kickbert.models.artifact.json_checks import ArtifactError, check_shape, read_json
from kickbert.utils.atomic_files import replacing
from kickbert.utils.hashing import file_digest

FORMAT = 2  # a reader supports this number and every lower one; 2 is for models that read columns beside the text
INFO = "kickbert.json"
MANIFEST = "manifest.json"
CARD = "README.md"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
HEAD = "head.safetensors"
COLUMNS = "columns.safetensors"

Files = dict[str, dict[str, Any]]  # size and sha256 by file name


def read_manifest(folder: Path) -> Files:
    """Read the size and sha256 of the files of a version.

    Raises:
        ArtifactError: the manifest is missing, damaged or of a newer format.
    """
    manifest = read_json(folder / MANIFEST)
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not files:
        raise ArtifactError(f"{folder / MANIFEST} lists no files; copy the folder again")
    unsafe = [name for name in files if Path(name).name != name or name in ("", ".", "..") or len(name) > 255]
    if unsafe:
        raise ArtifactError(f"{folder / MANIFEST} may only list files of its own folder, not {unsafe[:3]}")
    number = manifest.get("format", 0)
    if not isinstance(number, int) or number > FORMAT:
        raise ArtifactError(
            f"{folder} has format {number!r}, and this kickbert reads formats up to {FORMAT}; update it: "
            "pip install --upgrade kickbert"
        )
    check_shape(files, {name: {"bytes": int, "sha256": str} for name in files}, folder / MANIFEST)
    return files


def write_manifest(folder: Path, files: Files) -> None:
    """Write the manifest of a version."""
    with replacing(folder / MANIFEST) as part:
        number = FORMAT if COLUMNS in files else 1
        part.write_text(json.dumps({"format": number, "files": files}, indent=1), encoding="utf-8")


def file_entry(path: Path) -> dict[str, Any]:
    """Compute the size and sha256 of a file."""
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}


def checked_file(folder: Path, files: Files, name: str) -> Path:
    """Return the path of a file after comparing its size and digest with the manifest.

    Args:
        folder: the folder of the version.
        files: its manifest.
        name: the file.
    Raises:
        ArtifactError: the file is missing, incomplete or changed.
    """
    path = folder / name
    if name not in files:
        raise ArtifactError(f"{folder} has no {name}. Files: {sorted(files)}")
    if not path.is_file():
        raise ArtifactError(f"{path} is missing, but the manifest lists it; copy the folder again")
    entry, size = files[name], path.stat().st_size
    if size != entry["bytes"]:
        raise ArtifactError(
            f"{path} has {size:,} bytes and should have {entry['bytes']:,}: it is incomplete or changed; copy the "
            "folder again"
        )
    if file_digest(path) != entry["sha256"]:
        raise ArtifactError(f"{path} has changed since it was written (its sha256 differs); copy the folder again")
    return path
