"""All tests and the tables of speed on the GPU that is here, in one command and on one page.

    python benchmarks/gpu.py --out gpu.md             # about an hour; it goes on after a step that fails
    python benchmarks/gpu.py --steps doctor tests

The page has the machine, and of each step its command, its time, whether it ended well, and the end of what it printed.
Runs are recorded in a folder beside the page, not in benchmarks/runs, which has those of CPUs.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from kickbert.utils.hardware import best_device, choose_precision, describe_device

REPO = Path(__file__).resolve().parents[1]
STEPS = {
    "doctor": ["-c", "from kickbert.cli.commands import main; main()", "doctor", "--train"],
    "tests": ["-m", "pytest", "-q"],
    "epochs": ["benchmarks/epoch_cost.py", "--encoders", "base", "--rows", "512", "--tokens", "128", "--bs", "64"],
    "whole runs": ["benchmarks/whole_runs.py", "--sets", "sst2"],
    "predicting": ["benchmarks/predicting.py"],
}
LINES = 60  # of a step's output


def run(name: str, records: Path) -> tuple[bool, str]:
    """Run a step; whether it ended well, and its part of the page."""
    start = time.perf_counter()
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    env = os.environ | {"KICKBERT_RUNS": str(records.resolve())}
    done = subprocess.run([sys.executable, *STEPS[name]], cwd=REPO, env=env, **both)
    minutes, ended = (time.perf_counter() - start) / 60, "ended well" if done.returncode == 0 else "FAILED"
    printed = "\n".join(done.stdout.splitlines()[-LINES:])
    command = f"python {shlex.join(STEPS[name])}"
    return done.returncode == 0, f"## {name}\n\n`{command}`: {ended} after {minutes:.1f} min\n\n```\n{printed}\n```\n"


def main() -> None:
    """Run the steps and write the page; the exit code says whether all ended well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu.md"))
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=list(STEPS))
    args = parser.parse_args()
    device = best_device()
    if device.type == "cpu":
        sys.exit("no GPU is here that torch can use; the tables of a CPU are in benchmarks/RESULTS.md")
    page, well = [f"# {describe_device(device, choose_precision('auto', device))}\n"], True
    for name in args.steps:
        passed, part = run(name, args.out.with_suffix(".runs"))
        page.append(part)
        well &= passed
        args.out.write_text("\n".join(page), encoding="utf-8")  # after each step: a later one may be stopped
        print(part, flush=True)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
