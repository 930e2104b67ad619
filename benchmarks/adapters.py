"""Adapters: accuracy, seconds and bytes of LoRA beside training the last four layers, and four tasks on one encoder.

    python benchmarks/adapters.py                        # 2,000 rows, two seeds
    python benchmarks/adapters.py --rows 400 --seeds 1   # a trial of it

Minilm learns sst2 by the ladder: the head, then the last four layers. *CPU s* is what `fit_gradual` takes of all cores,
with the cache's building; MB is of the files that an artifact's weights are in. Then texts a second of four models of
one encoder, whose last layers were trained: by `load_many`, and by four predictors one by one; the best of some calls.
"""

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import pandas as pd
import torch
from common.sets import load

import kickbert

WAYS = {
    "all weights": {},
    "LoRA": {"adapter": "lora"},
    "LoRA at the rate of all weights": {"adapter": "lora", "schedule": {"lr": (2e-3, 4e-4)}},
}


def train(way: str, seed: int, rows: int, home: Path) -> dict:
    """One run: how well it learns, how long it takes, and what it leaves on disk."""
    how, cache = WAYS[way], kickbert.Cache()
    parts, valid, test, _ = load("sst2", seed, rows)
    df = pd.concat([parts, valid], ignore_index=True)
    options = {"model": "minilm", "valid": df.index[len(parts) :], "seed": seed, "path": home, "cache": cache}
    learn = kickbert.learner_from_df(df, **options, **how)
    start, cpu = time.perf_counter(), time.process_time()
    learn.fit_gradual()
    found = {"CPU s": time.process_time() - cpu, "seconds": time.perf_counter() - start}
    found["accuracy"] = 100 * float((learn.predict_df(test)["label"] == test["label"]).mean())
    for name, alone in {"whole MB": False, "alone MB": True}.items():
        if how or not alone:
            folder = learn.save_artifact(home / f"{way}-{seed}-{name}", adapter_only=alone)
            found[name] = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6
    return found


def serve(layers: int, texts: list[str], home: Path) -> dict:
    """Texts a second of four models whose last layers were trained, together and one after another."""
    df = pd.DataFrame({"text": texts[:64], "label": ["a", "b"] * 32})
    folders = {}
    for seed in range(4):
        learn = kickbert.learner_from_df(df, model="minilm", seed=seed, path=home)
        learn.fit_gradual([kickbert.Phase("last layers", 7 - layers, 1, 4e-4)])
        folders[str(seed)] = learn.save_artifact(home / f"{layers}-{seed}")
    many = kickbert.load_many(folders)
    alone = [kickbert.load(folder, backend="torch") for folder in folders.values()]
    speed = {}
    for name, call in {
        "together": lambda: many.predict_proba(texts),
        "one by one": lambda: [model.predict_proba(texts) for model in alone],
    }.items():
        times = []
        for _ in range(4):  # the first takes longer
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        speed[name] = len(texts) / min(times)
    return {"layers trained": layers, "shared": int(many.shared["shared layers"].min()), **speed}


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {args.rows:,} rows, {args.seeds} seeds")
    with tempfile.TemporaryDirectory() as scratch:
        runs = [{"way": w, **train(w, s, args.rows, Path(scratch))} for s in range(args.seeds) for w in WAYS]
        table = pd.DataFrame(runs).groupby("way", sort=False)
        print(table.mean().round(2).to_string())
        texts = load("sst2", 0, args.rows)[2]["text"].tolist()[:200]
        speeds = pd.DataFrame([serve(layers, texts, Path(scratch)) for layers in (1, 2, 4)])
        print(speeds.round(1).to_string(index=False))


if __name__ == "__main__":
    main()
