"""Run the tests and the speed benchmarks on this machine's GPU and write one page.

    python benchmarks/gpu.py --out gpu.md             # about an hour; continues after a failed step
    python benchmarks/gpu.py --steps doctor tests

The page has the machine and, for each step, its command, time, result, and the end of its output. Runs are recorded in
a folder next to the page, not in benchmarks/runs, which is for CPUs.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from kickbert.utils.devices import best_device, choose_precision, describe_device

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
    """Run a step; return whether it passed, and its part of the page."""
    start = time.perf_counter()
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    env = os.environ | {"KICKBERT_RUNS": str(records.resolve())}
    done = subprocess.run([sys.executable, *STEPS[name]], cwd=REPO, env=env, **both)
    minutes, ended = (time.perf_counter() - start) / 60, "passed" if done.returncode == 0 else "FAILED"
    printed = "\n".join(done.stdout.splitlines()[-LINES:])
    command = f"python {shlex.join(STEPS[name])}"
    return done.returncode == 0, f"## {name}\n\n`{command}`: {ended} after {minutes:.1f} min\n\n```\n{printed}\n```\n"


def main() -> None:
    """Run the steps and write the page; the exit code says whether all passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu.md"))
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=list(STEPS))
    args = parser.parse_args()
    device = best_device()
    if device.type == "cpu":
        sys.exit("torch finds no GPU on this machine. CPU results are in benchmarks/RESULTS.md.")
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
