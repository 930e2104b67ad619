"""Data-parallel training: two ranks of one thread each against one process of one thread, on Kickstarter's campaigns.

    python benchmarks/ranks.py                        # 12,800 campaigns, three seeds, then the kill of a rank
    python benchmarks/ranks.py --rows 640 --seeds 1   # a trial of it

Minilm learns by `fit_gradual()` as it comes: the head, then the last four layers. *fit s* is the time of that, with the
cache's building; *whole s* counts from the DataFrame on. Accuracy is on 3,200 test rows. *kill*: rank 1 is killed
(SIGKILL) in the second phase; seconds until all of it has ended, and whether the resumed run ends as one that was never
killed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import pandas as pd
from common.record import RECORDS, alone, once, runs
from common.sets import load

RUNS = RECORDS / "ranks.jsonl"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def train(seed: int, rows: int, folder: str) -> None:
    """What each rank runs; the first prints what came of it, as JSON."""
    import torch

    import kickbert
    from kickbert.utils.hardware import processes, rank

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    print(f"\npid {rank()} {os.getpid()}", flush=True)
    parts, valid, test, text_col = load("kickstarter", seed, rows)
    df = pd.concat([parts, valid], ignore_index=True)
    begun = time.perf_counter()
    learn = kickbert.learner_from_df(
        df, text_col=text_col, model="minilm", valid=df.index[len(parts) :], seed=seed, path=folder
    )
    start = time.perf_counter()
    ladder = learn.fit_gradual(resume=True)
    end = time.perf_counter()
    held = [int(learn.cache.info()["bytes"].sum())] * processes()
    if processes() > 1:
        torch.distributed.all_gather_object(held, held[0])
    if rank() == 0:
        accuracy = float((learn.predict_proba(test).argmax(1) == test["label"]).mean())
        phases = {f"phase {i + 1} s": seconds for i, seconds in enumerate(ladder["seconds"])}
        result = {"fit s": end - start, "whole s": end - begun, **phases, "accuracy": accuracy}
        result["valid_loss"] = float(ladder["valid_loss"].iloc[-1])
        result["cache MB"] = [round(size / 1e6, 1) for size in held]
        print("\n" + json.dumps(result), flush=True)


def measure(way: str, seed: int, rows: int, folder: str) -> dict:
    """One run in processes of its own: "one process" or "two ranks"."""
    launch = TORCHRUN if way == "two ranks" else ()
    call = [*launch, __file__, "--train", folder, "--first-seed", seed, "--rows", rows]
    return alone(str(call[0]), *call[1:], env=THREAD)


def kill(rows: int) -> dict:
    """Kill the second rank in its second phase, and resume."""
    with tempfile.TemporaryDirectory() as scratch:
        whole = measure("two ranks", 0, rows, f"{scratch}/whole")["valid_loss"]
        call = [sys.executable, *TORCHRUN, __file__, "--train", f"{scratch}/cut", "--rows", str(rows)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(call, env=os.environ | THREAD, **pipes)
        for line in process.stdout:
            if line.startswith("pid 1 "):
                pid = int(line.split()[2])
            if line.startswith("2/2 ") and "epoch 1" in line:
                os.kill(pid, signal.SIGKILL)
                break
        start = time.perf_counter()
        error = process.communicate()[1]
        seconds = time.perf_counter() - start
        told = [line for line in error.splitlines() if "has lost another" in line or "SIGKILL" in line]
        resumed = measure("two ranks", 0, rows, f"{scratch}/cut")["valid_loss"]
    return {"ended after s": seconds, "said": told[-1].strip()[-160:], "same as unkilled": resumed == whole}


def table(rows: int) -> str:
    """Means over seeds of both ways, and the ratio of their times, in Markdown."""
    df = pd.DataFrame([run for run in runs(RUNS) if run["rows"] == rows and run["way"] != "kill"])
    shown = [name for name in df.columns if name.endswith(" s") or name == "accuracy"]
    lines = ["| | seeds | " + " | ".join(shown) + " | cache MB |", "|---" * (len(shown) + 3) + "|"]
    for way, found in df.groupby("way", sort=False):
        cells = [f"{found[name].mean():.3f} ± {found[name].std():.3f}" for name in shown]
        lines.append(f"| {way} | {len(found)} | {' | '.join(cells)} | {found['cache MB'].iloc[0]} |")
    one, two = (df[df["way"] == way].set_index("seed") for way in ("one process", "two ranks"))
    ratios = [f"{(one[name] / two[name]).mean():.2f}" for name in shown if name.endswith(" s")]
    return "\n".join([*lines, f"| ratio, mean of seeds | | {' | '.join(ratios)} | | |"])


def main() -> None:
    """Measure what is not on record and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=12_800)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--first-seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        Path(args.train).mkdir(parents=True, exist_ok=True)
        return train(args.first_seed, args.rows, args.train)
    for seed in range(args.seeds):
        for way in ("one process", "two ranks"):
            with tempfile.TemporaryDirectory() as folder:
                once(RUNS, lambda: measure(way, seed, args.rows, folder), way=way, seed=seed, rows=args.rows)  # noqa: B023
    print(table(args.rows))
    print(once(RUNS, lambda: kill(args.rows), way="kill", rows=args.rows))


if __name__ == "__main__":
    main()
