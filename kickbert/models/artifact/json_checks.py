"""Check the JSON files of an artifact; every error names the file and says what to do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kickbert.utils.messages import shorten


class ArtifactError(ValueError):
    """The folder is not an artifact, or the artifact is incomplete or changed."""


@contextmanager
def usable(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn errors raised while a file's content is used into an `ArtifactError` that names the file."""
    try:
        yield
    except ArtifactError:
        raise
    except errors as err:
        reason = f"{type(err).__name__}: {shorten(str(err), 200)}"
        raise ArtifactError(f"The content of {path} cannot be used ({reason}); save the artifact again") from err


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ArtifactError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = sorted(p.name for p in path.parent.iterdir())[:8]
        raise ArtifactError(
            f"{path.parent} is not an artifact: it has no {path.name}. Files: {names}. Give a folder written by "
            "kickbert train or save_artifact"
        ) from None
    except (ValueError, OSError, RecursionError) as err:
        raise ArtifactError(f"{path} is not valid JSON ({err}): incomplete or changed; copy the folder again") from None


def check_shape(value: Any, shape: Any, path: Path, name: str = "") -> None:
    """Check the types of a JSON value and of its required entries.

    Args:
        value: the content of the file, or a part of it.
        shape: a type or a tuple of types; for an object, the shapes of its required entries by name.
        path: the file, for the error.
        name: name of the part, for the error.
    Raises:
        ArtifactError: an entry is missing or has another type.
    """
    entries = shape if isinstance(shape, dict) else {}
    where = f" in {name!r}" if name else ""
    if not isinstance(value, dict if isinstance(shape, dict) else shape):
        raise ArtifactError(f"{path} has the wrong type{where}: {shorten(repr(value), 60)}; save the artifact again")
    missing = [entry for entry in entries if entry not in value]
    if missing:
        raise ArtifactError(f"{path} has no {missing[0]!r}{where}; save the artifact again")
    for entry, part in entries.items():
        check_shape(value[entry], part, path, entry)
