"""How much of the predictor's speed a service keeps, under 64 clients for a minute; and whether its memory is flat.

    python benchmarks/load.py            # needs wrk (apt install wrk) and predicting.py's models

A fresh `kickbert serve` of the exported sst2 model on loopback; wrk keeps 64 connections busy with requests of one text
each, and of sixteen. Before and after, the predictor alone answers the same texts from a list on the same cores. wrk
shares these cores with the service, so what it takes is missing from the service.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import psutil
from common.record import RECORDS, once, runs
from common.sets import FOLDER
from predicting import SENTENCES, saved

import kickbert

RUNS = RECORDS / "load.jsonl"
CLIENTS, SECONDS, PORT = 64, 60, 8123


def texts_of(seed: int) -> list[str]:
    """Sentences that were not trained on."""
    df = pd.read_csv(FOLDER / "sst2.csv.gz")
    return df.loc[df["split"] == "train", "text"].drop_duplicates().sample(SENTENCES, random_state=seed).tolist()


def alone(folder: Path, texts: list[str]) -> float:
    """Texts per second of the predictor, from a list."""
    model = kickbert.load(folder, backend="onnx-int8")
    model.predict(texts[:1_000])
    start = time.perf_counter()
    model.predict(texts)
    return len(texts) / (time.perf_counter() - start)


@contextmanager
def service(folder: Path, log: IO | int = subprocess.DEVNULL) -> Iterator[subprocess.Popen]:
    """`kickbert serve` on loopback, once it is ready; it is stopped at the end if it still runs."""
    call = [
        sys.executable,
        "-c",
        "from kickbert.cli.commands import main; main()",
        "serve",
        str(folder),
        "--port",
        str(PORT),
    ]
    process = subprocess.Popen([*call, "--backend", "onnx-int8"], stdout=log, stderr=log)
    try:
        _until_ready()
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)


def measure(seed: int, many: int) -> dict:
    """Requests of so many texts each, for a minute."""
    folder, texts = saved("sst2", seed), texts_of(seed)
    before = alone(folder, texts)
    bodies = Path(tempfile.mkdtemp()) / "bodies"
    lines = [json.dumps({"texts": texts[i : i + many]}) for i in range(0, len(texts) - many + 1, many)]
    bodies.write_text("\n".join(lines), encoding="utf-8")
    with open(bodies.with_name("log"), "w") as log, service(folder, log) as server:
        memory, stop = [], threading.Event()
        watch = threading.Thread(target=_watch, args=(psutil.Process(server.pid), memory, stop))
        watch.start()
        report = subprocess.run(
            ["wrk", "-t1", f"-c{CLIENTS}", f"-d{SECONDS}s", "--timeout", "30s", "--latency", "-s",
             Path(__file__).with_name("load.lua"), f"http://127.0.0.1:{PORT}/predict", "--", str(seed)],
            capture_output=True, text=True, check=True, env=os.environ | {"KICKBERT_BODIES": str(bodies)},
        ).stdout  # fmt: skip
        stop.set()
        watch.join()
    rate = (before + alone(folder, texts)) / 2
    served = float(re.search(r"Requests/sec:\s+([\d.]+)", report)[1]) * many
    errors = sum(map(int, re.findall(r"(?:responses:|connect|read|write|timeout) (\d+)", report)))
    third = len(memory) // 3
    return {
        "alone": rate, "served": served, "share": served / rate, "errors": errors,
        "p99 ms": _milliseconds(re.search(r"99%\s+(\S+)", report)[1]),
        "MB after 20 s": float(np.median(memory[third : third + 5])), "MB at the end": float(np.median(memory[-5:])),
    }  # fmt: skip


def _milliseconds(duration: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", duration).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def _watch(process: psutil.Process, memory: list[float], stop: threading.Event) -> None:
    while not stop.wait(1):
        memory.append(process.memory_info().rss / 1e6)


def _until_ready() -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ready", timeout=2)
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the service does not start")


def main() -> None:
    """Make the runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt install wrk")
    for seed in range(args.seeds):
        for many in (1, 16):
            once(RUNS, lambda: measure(seed, many), seed=seed, many=many)  # noqa: B023 - called at once
    table = pd.DataFrame(runs(RUNS)).drop(columns="seed").groupby("many").agg(["mean", "std"]).round(2)
    print(table.T.unstack().to_string())


if __name__ == "__main__":
    main()
