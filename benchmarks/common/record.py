"""Recorded runs, one JSON line each: a benchmark continues where it stopped, and its tables can be printed again."""

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

# Folder of recorded runs; set KICKBERT_RUNS for another machine.
RECORDS = Path(os.environ.get("KICKBERT_RUNS", Path(__file__).resolve().parents[1] / "runs"))

# For each part of a benchmark: arguments, and the function that measures with a seed.
Parts = dict[str, list[tuple[dict, Callable[..., dict]]]]


def runs(file: Path) -> list[dict]:
    """All runs in a file, in order."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def once(file: Path, work: Callable[[], dict], **name: str | int | float) -> dict:
    """Return the run with this name: from the record, or run, record, and print it now."""
    for row in runs(file):
        if name.items() <= row.items():
            return row
    row = name | work()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)
    return row


def measure(file: Path, parts: Parts, chosen: Sequence[str], seeds: int) -> None:
    """Make the missing runs of the chosen parts, and print a table for each part."""
    for part in chosen:
        for seed in range(seeds):
            for how, work in parts[part]:
                once(file, lambda: work(seed=seed, **how), part=part, seed=seed, **how)  # noqa: B023 - called at once
        print(f"\n{part}\n\n{table(file, part)}")


def run_parts(description: str, file: Path, parts: Parts, seeds: int) -> None:
    """Make the runs that the command line asks for and print their tables.

    Args:
        description: what the benchmark measures; the first line is shown as help.
        file: recorded runs.
        parts: parts of the benchmark.
        seeds: default number of seeds.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=list(parts), choices=list(parts))
    parser.add_argument("--seeds", type=int, default=seeds)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    measure(file, parts, args.parts, args.seeds)


def table(file: Path, part: str) -> str:
    """Means and standard deviations over seeds, in Markdown."""
    df = pd.DataFrame([row for row in runs(file) if row["part"] == part]).drop(columns="part")
    by = [c for c in ("name", "rows", "backend") if c in df]
    shown = [c for c in df.columns if c not in (*by, "seed")]
    lines = ["| " + " | ".join([*by, "seeds", *shown]) + " |", "|---" * (len(by) + 1 + len(shown)) + "|"]
    for name, group in df.groupby(by, sort=False) if by else [((), df)]:
        cells = [f"{group[c].mean():,.3f} ± {group[c].std() if len(group) > 1 else 0:,.3f}" for c in shown]
        lines.append("| " + " | ".join([*map(str, name), str(len(group)), *cells]) + " |")
    return "\n".join(lines)


def alone(script: str, *arguments: str | int, env: dict[str, str] | None = None) -> dict:
    """Run a benchmark script in its own process and return the JSON of its last line.

    Args:
        env: additional environment variables.
    Raises:
        RuntimeError: it failed; the message has the end of its error output.
    """
    call = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(call, capture_output=True, text=True, env=os.environ | (env or {}))
    if done.returncode:
        raise RuntimeError(f"{call[1:]} failed: {done.stderr[-1000:]}")
    return json.loads(done.stdout.splitlines()[-1])
