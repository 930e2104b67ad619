"""Runs on record, a JSON line each: a benchmark goes on where it was stopped, and its tables can be made again."""

import json
from collections.abc import Callable
from pathlib import Path


def runs(file: Path) -> list[dict]:
    """All runs of a file, in the order in which they were made."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def once(file: Path, work: Callable[[], dict], **name: str | int | float) -> dict:
    """The run of this name: read if it is on record, else made now, recorded and printed."""
    for row in runs(file):
        if name.items() <= row.items():
            return row
    row = name | work()
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)
    return row
