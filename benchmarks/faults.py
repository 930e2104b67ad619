"""What is left after the worst: kills, a full disk, nonsense.

    python benchmarks/faults.py          # needs wrk, and root for the full disk (a small tmpfs is mounted)

*training*: a run is killed (SIGKILL) once its first phase is on disk; resumed, it ends as one that was never killed.
*writing*: an artifact is being written in a loop and killed at a random time, twenty times; whatever stands is whole.
*disk full*: an artifact is written to a disk that has room for half of it.
*serving*: the service is killed under the load of 64 clients and started again.
*nonsense*: 10,000 requests whose bytes were changed at random, every other one cut short too.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
from load import CLIENTS, PORT, service, texts_of
from predicting import saved

import kickbert
from kickbert.models.artifact import ArtifactError, versions

TRAIN = """
import sys, pandas as pd, kickbert
df = pd.read_csv(sys.argv[1])
learn = kickbert.learner_from_df(df, model="minilm", path=sys.argv[2], seed=7)
print(learn.fit_gradual(resume=True).iloc[-1]["valid_loss"])
"""
WRITE = """
import sys, kickbert, pandas as pd
learn = kickbert.GradualLearner.from_artifact(sys.argv[1], pd.read_csv(sys.argv[2]))
print("ready", flush=True)
while True:
    learn.save_artifact(sys.argv[3])
"""


def rows(scratch: Path) -> Path:
    """600 sentences to train on."""
    file = scratch / "rows.csv"
    pd.DataFrame({"text": texts_of(0)[:600], "label": ["a", "b"] * 300}).to_csv(file, index=False)
    return file


def start(code: str, *arguments: Path, **options) -> subprocess.Popen:
    """A script of its own."""
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)], text=True, **options)


def training(scratch: Path) -> str:
    """Killed after its first phase, then resumed."""
    whole = start(TRAIN, rows(scratch), scratch / "whole", stdout=subprocess.PIPE).communicate()[0].split()[-1]
    process, checkpoint = start(TRAIN, rows(scratch), scratch / "cut", stdout=subprocess.PIPE), None
    while checkpoint is None or '"phase": "head"' not in checkpoint:
        time.sleep(0.01)
        file = scratch / "cut" / "models" / "gradual.safetensors"
        checkpoint = file.read_bytes()[:4096].decode("utf-8", "replace").replace("\\", "") if file.exists() else None
    process.kill()
    process.wait()
    output = start(TRAIN, rows(scratch), scratch / "cut", stdout=subprocess.PIPE).communicate()[0]
    assert "resuming after 1 of 2 phases" in output, output
    assert output.split()[-1] == whole, (output, whole)
    return f"resumed after the first of two phases; last validation loss {whole}, the same as of a run never killed"


def writing(scratch: Path) -> str:
    """Killed while it writes, again and again."""
    folder, home, rng = saved("sst2", 0), scratch / "k", random.Random(0)
    parts, whole = 0, 0
    for _ in range(20):
        process = start(WRITE, folder, rows(scratch), home, stdout=subprocess.PIPE)
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
        time.sleep(rng.uniform(0, 1.5))
        process.kill()
        process.wait()
        parts += len(list(home.glob("*.part")))
        if (home / "latest").exists():
            kickbert.load(home, backend="torch").predict(["a"])
            others = sorted(set(versions(home)) - {(home / "latest").read_text().strip()})
            for version in others:
                kickbert.load(home / version, backend="torch").predict(["a"])
                shutil.rmtree(home / version)  # there is a new one every tenth of a second
            whole += len(others)
    return f"{whole} versions, every one whole; {parts} half-written folders were left, none in the way"


@contextmanager
def small_disk(folder: Path, megabytes: int):
    """A file system with little room."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def disk_full(scratch: Path) -> str:
    """Room for one artifact and a half."""
    learn = kickbert.GradualLearner.from_artifact(saved("sst2", 0), pd.read_csv(rows(scratch)), path=scratch)
    with small_disk(scratch / "disk", 150):
        home = scratch / "disk" / "k"
        learn.save_artifact(home)
        try:
            learn.save_artifact(home)
        except ArtifactError as err:
            error = str(err).replace(str(scratch), "…")
        assert sorted(p.name for p in home.iterdir()) == ["latest", "v1"]
        kickbert.load(home, backend="torch").predict(["a"])
    return f"error: {error}; the version before answers"


def serving(scratch: Path) -> str:
    """Killed under load."""
    folder, bodies = saved("sst2", 0), scratch / "bodies"
    bodies.write_text("\n".join(json.dumps({"texts": text}) for text in texts_of(0)[:1_000]), encoding="utf-8")
    url = f"http://127.0.0.1:{PORT}/predict"
    with service(folder) as process:
        before = httpx.post(url, json={"texts": texts_of(0)[:50]}, timeout=60).json()
        load = ["wrk", "-t1", f"-c{CLIENTS}", "-d5s", "-s", str(Path(__file__).with_name("load.lua")), url]
        clients = subprocess.Popen(load, env=os.environ | {"KICKBERT_BODIES": str(bodies)}, stdout=subprocess.PIPE)
        time.sleep(3)
        process.kill()
        clients.communicate()
    begun = time.perf_counter()
    with service(folder):
        seconds = time.perf_counter() - begun
        after = httpx.post(url, json={"texts": texts_of(0)[:50]}, timeout=60).json()
    assert after == before
    return f"answers the same again {seconds:.1f} s after the restart"


def nonsense(scratch: Path) -> str:
    """Bytes changed at random."""
    good = json.dumps({"texts": ["a bright, warm film", "ünï 😀"], "min_confidence": 0.5}).encode()
    with service(saved("sst2", 0)), httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as client:

        def ask(seed: int) -> int:
            rng, body = np.random.default_rng(seed), bytearray(good)
            for _ in range(rng.integers(1, 6)):
                body[rng.integers(len(body))] = int(rng.integers(256))
            if seed % 2:
                del body[rng.integers(1, len(body)) :]
            path = ("/predict", "/explain", "/label")[seed % 3]
            kind = ("application/json", "text/csv")[path == "/label"]
            return client.post(path, content=bytes(body), headers={"Content-Type": kind}).status_code

        with ThreadPoolExecutor(8) as pool:
            codes = Counter(pool.map(ask, range(10_000)))
        assert client.post("/predict", json={"texts": "a"}).status_code == 200
    assert not any(code >= 500 for code in codes), codes
    return f"answers by status: {dict(sorted(codes.items()))}; it answers as before"


def main() -> None:
    """Do all of it and print what was left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=["training", "writing", "disk_full", "serving", "nonsense"])
    print("| fault | what is left |\n|---|---|")
    for part in parser.parse_args().parts:
        with tempfile.TemporaryDirectory() as scratch:
            print(f"| {part.replace('_', ' ')} | {globals()[part](Path(scratch))} |", flush=True)


if __name__ == "__main__":
    main()
