"""The JSON of an artifact: what `kickbert.json` must hold, and how what it does not hold is reported."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kickbert.utils.messages import shorten

NUMBER = (int, float)
METADATA = {
    "created": str,
    "task": str,
    "target": {"kind": str},
    "text_col": list,
    "label_col": (str, list),
    "cleaning": (list, type(None)),
    "framing": {"start": list, "between": list, "end": list, "max_length": int, "long": str, "stride": int},
    "mask": int,
    "pad": int,
    "encoder": {"model_type": str},
    "head": {"pooling": str},
    "temperature": NUMBER,
    "thresholds": (*NUMBER, list),
    "data": dict,
    "versions": dict,
}

TARGETS = {
    "Labels": {"classes": list},
    "Bins": {"classes": list, "edges": list, "centers": list},
    "MultiLabels": {"classes": list},
    "Numbers": {"name": str, "mean": NUMBER, "std": NUMBER},
}


class ArtifactError(ValueError):
    """A folder that is no artifact, or one that was cut short or changed."""


@contextmanager
def usable(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Let errors of these types, in using what a file holds, become an `ArtifactError` that names the file."""
    try:
        yield
    except ArtifactError:
        raise
    except errors as err:
        reason = f"{type(err).__name__}: {shorten(str(err), 200)}"
        raise ArtifactError(f"{path} holds what cannot be used ({reason}); save the artifact again") from err


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ArtifactError: it is not there, or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = sorted(p.name for p in path.parent.iterdir())[:8]
        raise ArtifactError(
            f"{path.parent} has no {path.name}, so it is no artifact (it holds {names}); give a folder that "
            "save_artifact wrote"
        ) from None
    except (ValueError, OSError, RecursionError) as err:
        raise ArtifactError(f"{path} is no JSON ({err}): it was cut short or changed; copy the folder again") from None


def check_shape(value: Any, shape: Any, path: Path, name: str = "") -> None:
    """Check a value of a JSON file, and what is in it.

    Args:
        value: what the file holds, or a part of it.
        shape: the type, or types, that it must have; for an object that must have certain entries their shapes by name.
        path: of the file.
        name: of the part.
    Raises:
        ArtifactError: it is of another shape.
    """
    entries = shape if isinstance(shape, dict) else {}
    where = f" in {name!r}" if name else ""
    if not isinstance(value, dict if isinstance(shape, dict) else shape):
        raise ArtifactError(f"{path} has {shorten(repr(value), 60)}{where}, of another type; save the artifact again")
    lacking = [entry for entry in entries if entry not in value]
    if lacking:
        raise ArtifactError(f"{path} has no {lacking[0]!r}{where}; save the artifact again")
    for entry, part in entries.items():
        check_shape(value[entry], part, path, entry)
