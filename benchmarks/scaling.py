"""Seconds and peak memory from 1,000 to 200,000 rows, also beyond the memory budget.

    python benchmarks/scaling.py                        # 1k, 10k, 100k, 200k rows; then 100k with little memory
    python benchmarks/scaling.py --rows 1000 10000

The head and the last two layers of minilm train for one epoch each, starting at the DataFrame, each size in its own
process. Memory is the process's anonymous pages, sampled ten times per second, minus those before the first row; pages
of the temporary file belong to the system, which reclaims them when needed.
"""

import argparse
import json
import tempfile
import threading
import time
import warnings
from pathlib import Path

import pandas as pd
from common.record import RECORDS, alone, once, runs
from common.sets import load

RUNS = RECORDS / "scaling.jsonl"
LITTLE = 200  # MB, the small memory budget


def frame(rows: int) -> pd.DataFrame:
    """sst2's sentences, repeated with a number so that no two rows are equal."""
    df = load("sst2", seed=0)[0]
    df = pd.concat([df] * (rows // len(df) + 1), ignore_index=True)[:rows]
    return pd.DataFrame({"text": df["text"] + " " + df.index.astype(str), "label": df["label"]})


def own_memory() -> int:
    """Bytes of anonymous memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no RssAnon: this benchmark needs Linux")


class Peak(threading.Thread):
    """Sample memory until stopped."""

    def __init__(self):
        super().__init__(daemon=True)
        self.before = self.peak = own_memory()
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.1):
            self.peak = max(self.peak, own_memory())


def fit(rows: int, memory: int | None) -> dict:
    """Train; return seconds and peak bytes above the start."""
    from kickbert import Cache, gradual_unfreezing, learner_from_df

    df, stores = frame(rows), Cache(memory=memory * 10**6 if memory else None)
    warm = frame(64)
    with tempfile.TemporaryDirectory() as scratch:
        learner_from_df(warm, model="minilm", path=scratch).fit_gradual()  # libraries loaded, kernels made
        peak = Peak()
        peak.start()
        start = time.perf_counter()
        learn = learner_from_df(df, model="minilm", cache=stores, path=scratch)
        read = time.perf_counter() - start
        learn.fit_gradual(gradual_unfreezing(len(learn.groups), (0, 2), (1, 1), (2e-3, 2e-4)))
        seconds = time.perf_counter() - start
        peak.done.set()
    where = sorted(set(", ".join(learn.cache.info()["where"]).split(", ")))
    result = {"seconds": seconds, "reading": read, "peak": peak.peak - peak.before, "where": " and ".join(where)}
    return result | {"bytes": int(learn.cache.info()["bytes"].sum())}


def measure(rows: int, memory: int | None) -> dict:
    """`fit` in a process of its own."""
    return alone(__file__, "--fit", rows, *(["--memory", memory] if memory else []))


def table() -> str:
    """The runs as a Markdown table."""
    lines = [
        "| rows | memory budget | seconds | per 1,000 rows | peak memory, MB | states, MB | where | "
        "time for 10 times the rows |",
        "|---" * 8 + "|",
    ]
    recorded = sorted(runs(RUNS), key=lambda row: (row["memory"] or 0, row["rows"]))
    for row in recorded:
        tenth = [r for r in recorded if r["rows"] * 10 == row["rows"] and r["memory"] == row["memory"]]
        times = f"{row['seconds'] / tenth[0]['seconds']:.2f} times" if tenth else ""
        budget = f"{row['memory']} MB" if row["memory"] else "half of the free memory"
        lines.append(
            f"| {row['rows']:,} | {budget} | {row['seconds']:.1f} | {1000 * row['seconds'] / row['rows']:.2f} "
            f"| {row['peak'] / 1e6:.0f} | {row['bytes'] / 1e6:.0f} | {row['where']} | {times} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000, 10_000, 100_000, 200_000])
    parser.add_argument("--memory", type=int, help="MB of the budget")
    parser.add_argument("--fit", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    if args.fit:
        print(json.dumps(fit(args.fit, args.memory)))
        return
    wanted = [(rows, args.memory) for rows in args.rows]
    if args.memory is None and 100_000 in args.rows:
        wanted += [(10_000, LITTLE // 10), (100_000, LITTLE)]
    for rows, memory in wanted:
        once(RUNS, lambda: measure(rows, memory), rows=rows, memory=memory)  # noqa: B023 - called at once
    print(table())


if __name__ == "__main__":
    main()
