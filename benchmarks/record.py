"""Runs on record, a JSON line each: a benchmark goes on where it was stopped, and its tables can be made again."""

import json
import os
import subprocess
import sys
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


def alone(script: str, *arguments: str | int, env: dict[str, str] | None = None) -> dict:
    """What a benchmark's script prints on its last line, as JSON, when it is run in a process of its own.

    Args:
        env: what the environment has besides.
    Raises:
        RuntimeError: it failed, with the end of what it said.
    """
    call = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(call, capture_output=True, text=True, env=os.environ | (env or {}))
    if done.returncode:
        raise RuntimeError(f"{call[1:]} failed: {done.stderr[-1000:]}")
    return json.loads(done.stdout.splitlines()[-1])
