"""How fast a table in Parquet files is predicted by Ray's actors and by processes, and what is left after a kill.

    python benchmarks/tables.py                       # 200,000 texts; it goes on where it was stopped
    python benchmarks/tables.py --parts kills --rows 20000 --seeds 1

Texts are pairs of sst2 phrases, each text once, in files of a quarter of the rows; the model is predicting.py's, int8.

*throughput*: the whole call, start and end included, by Ray with two actors, by two processes, and by one local
predictor on both cores (`predict_file` of the same rows in one file), each in a process of its own; memory of the
processes that predict, in the middle and at the end, and of all that the call started.
*kills*: a call is killed (SIGKILL), a worker of it or its driver, with a third of the partitions written; the driver's
is made again. Rows that are missing, twice or predicted otherwise than without a kill are counted.
*arithmetic*: from measured parts, the hours that 100 M such rows take on 32 such machines.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from common.record import RECORDS, Parts, measure
from common.sets import FOLDER
from predicting import saved

from kickbert.inference.distributed import PARTITION, _summary
from kickbert.inference.table_folders import TableFolder

RUNS = RECORDS / "tables.jsonl"
SCRATCH = Path(tempfile.gettempdir()) / "kickbert-tables"
MACHINES, ROWS = 32, 100_000_000
WORKER = {"ray": "ray::MapWorker", "local": "kickbert.inference.engines"}
CODE = """
import json, sys, time, kickbert
from kickbert.inference import predict_dataset, predict_file
start = time.perf_counter()
model = kickbert.load(sys.argv[1], backend="onnx-int8")
if sys.argv[4] == "one":
    done = predict_file(model, sys.argv[2], sys.argv[3])
else:
    done = predict_dataset(model, sys.argv[2], sys.argv[3], engine=sys.argv[4], workers=2, partition=int(sys.argv[5]))
print(json.dumps({"seconds": time.perf_counter() - start, "rows": done.rows}))
"""


@cache
def table(rows: int, seed: int) -> Path:
    """A folder of the rows in four files, and beside it the same in one file."""
    home = SCRATCH / f"{rows}-{seed}"
    if not (home / "whole.parquet").exists():
        df = pd.read_csv(FOLDER / "sst2.csv.gz")
        phrases = df.loc[df["split"] == "train", "text"].drop_duplicates().to_numpy()
        phrases = phrases[[len(phrase) < 60 for phrase in phrases]]
        pairs = np.random.default_rng(seed).choice(len(phrases), (2 * rows, 2))
        pairs = np.unique(pairs, axis=0)
        pairs = pairs[np.random.default_rng(seed).permutation(len(pairs))[:rows]]
        texts = [f"{phrases[a]} {phrases[b]}" for a, b in pairs]
        df = pd.DataFrame({"id": np.arange(len(texts)), "text": texts})
        (home / "in").mkdir(parents=True, exist_ok=True)
        for i in range(4):
            part = df[len(df) * i // 4 : len(df) * (i + 1) // 4]
            part.to_parquet(home / "in" / f"part-{i}.parquet", index=False)
        df.to_parquet(home / "whole.parquet", index=False)
    return home


def partition(rows: int) -> int:
    """Rows of a partition: those of the library where there are enough of them."""
    return min(PARTITION, max(1, rows // 12))


def start(seed: int, rows: int, engine: str, out: Path) -> subprocess.Popen:
    """A call in a process of its own."""
    source = table(rows, seed) / ("whole.parquet" if engine == "one" else "in")
    call = [sys.executable, "-W", "ignore", "-c", CODE, saved("sst2", seed), source, out, engine, partition(rows)]
    return subprocess.Popen(list(map(str, call)), stdout=subprocess.PIPE, text=True)


def tree(process: subprocess.Popen) -> list[psutil.Process]:
    """A process and all that it started."""
    try:
        root = psutil.Process(process.pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def workers(process: subprocess.Popen, engine: str) -> list[psutil.Process]:
    """The processes that predict."""
    return [p for p in tree(process) if WORKER.get(engine, "\0") in " ".join(_asked(p.cmdline, []))]


def _asked(question: Callable, otherwise: object) -> object:
    try:
        return question()
    except psutil.Error:  # it has ended
        return otherwise


def unique_megabytes(processes: list[psutil.Process]) -> float:
    """Memory of processes without what they share with others."""
    return sum(_asked(lambda p=p: p.memory_full_info().uss, 0) for p in processes) / 1e6


def fresh(seed: int, rows: int, name: str) -> Path:
    """A name for predictions that are not there yet."""
    out = table(rows, seed) / name
    for old in (out, out.with_name(f"{name}.unfinished")):
        shutil.rmtree(old, ignore_errors=True)
    return out


def throughput(seed: int, rows: int, name: str) -> dict:
    """Texts per second of a call, and megabytes while it ran."""
    out = fresh(seed, rows, "one.parquet" if name == "one" else name)
    saved("sst2", seed)
    process, memory = start(seed, rows, name, out), []
    while process.poll() is None:
        time.sleep(1)
        measured = workers(process, name) if name in WORKER else tree(process)
        memory.append((unique_megabytes(measured), unique_megabytes(tree(process))))
    done = json.loads(process.stdout.read().splitlines()[-1])
    assert done["rows"] == rows
    work = np.array([m for m in memory if m[0] > 0])[:-2]  # not while it ends
    middle, end = work[len(work) // 2], work[-3:].mean(0)
    return {
        "texts per second": rows / done["seconds"], "seconds": done["seconds"],
        "MB of workers in the middle": middle[0], "MB of workers at the end": end[0], "MB in all": work[:, 1].max(),
    }  # fmt: skip


def kill(seed: int, rows: int, name: str) -> dict:
    """Rows that are missing, twice or otherwise after a kill of "ray actor", "ray driver", "local worker", …"""
    engine, victim = name.split()
    whole = table(rows, seed) / engine
    if not whole.exists():
        start(seed, rows, engine, whole).communicate()
    out = fresh(seed, rows, name.replace(" ", "-"))
    unfinished, wanted = out.with_name(f"{out.name}.unfinished"), math.ceil(len(list(whole.glob("*.parquet"))) / 3)
    process = start(seed, rows, engine, out)
    while len(list(unfinished.glob("*.parquet"))) < wanted:
        assert process.poll() is None
        time.sleep(0.05)
    before, begun = len(list(unfinished.glob("*.parquet"))), time.perf_counter()
    (process if victim == "driver" else workers(process, engine)[0]).kill()
    if victim == "driver":
        process.wait()
        process = start(seed, rows, engine, out)
    assert process.wait() == 0
    found, expected = (pd.read_parquet(folder).set_index("id") for folder in (out, whole))
    twice = found.index.duplicated()
    both = found[~twice].join(expected, how="inner", rsuffix=" expected")
    columns = ["label", "confidence", *[c for c in expected if c.startswith("prob_")]]
    other = np.logical_or.reduce([(both[c] != both[f"{c} expected"]).to_numpy() for c in columns])
    return {
        "written before": before, "seconds after": time.perf_counter() - begun, "missing": len(expected) - len(both),
        "twice": int(twice.sum()), "otherwise": int(other.sum()),
    }  # fmt: skip


def arithmetic(seed: int, rows: int) -> dict:
    """Hours of 100 M rows on 32 machines: what is done once by the driver, and what is shared out."""
    seconds = throughput(seed, rows, "ray")["seconds"]
    written = sorted(path.stat().st_mtime for path in (table(rows, seed) / "ray").glob("*.parquet"))
    rate = rows * (len(written) - 2) / len(written) / (written[-1] - written[1])  # two actors begin at once
    begin = max(0.0, seconds - rows / rate)
    folder = TableFolder(table(rows, seed) / "in")
    size = sum(part.stamp[0] for part in folder.parts)
    taken = time.perf_counter()
    for _ in range(10):
        folder.digests()
    gigabytes = 10 * size / 1e9 / (time.perf_counter() - taken)
    parts = folder.partitions(partition(rows))
    taken = time.perf_counter()
    _summary(table(rows, seed) / "ray", parts, 0, [])
    footer = (time.perf_counter() - taken) / len(parts)
    digest, footers = size / rows * ROWS / 1e9 / gigabytes, ROWS / PARTITION * footer
    shared, tail = ROWS / (MACHINES * rate), 2 * PARTITION / rate
    return {
        "texts per second of a machine": rate, "start, s": begin, "digests, s": digest, "accounts, s": footers,
        "shared out, s": shared, "last partition, s": tail,
        "hours": (begin + digest + footers + shared + tail) / 3600,
        "hours on one machine": ROWS / rate / 3600,
    }  # fmt: skip


def main() -> None:
    """Make the runs asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=["throughput", "kills", "arithmetic"])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    kills = ("ray actor", "ray driver", "local worker", "local driver")
    parts: Parts = {
        "throughput": [({"name": name, "rows": args.rows}, throughput) for name in ("one", "local", "ray")],
        "kills": [({"name": name, "rows": args.rows}, kill) for name in kills],
        "arithmetic": [({"rows": args.rows}, arithmetic)],
    }
    warnings.filterwarnings("ignore")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    measure(RUNS, parts, args.parts, args.seeds)


if __name__ == "__main__":
    main()
