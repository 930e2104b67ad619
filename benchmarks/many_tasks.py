"""Speed of ten tasks on one stream of texts: one pass of a shared encoder, and ten separate models.

    python benchmarks/many_tasks.py                        # continues where it stopped

Each task tells one of huffpost's ten largest categories from the others; its model is a frozen minilm with a side
network, exported to int8. Side networks have random weights, because speed does not depend on training. 1,000 texts of
25 to 30 tokens; both methods in turn, three rounds. CPU time varies less than time on a machine with other load.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common.record import RECORDS, Parts, run_parts
from common.sets import load

import kickbert
from kickbert.models.artifact.reading import read_artifact

RUNS = RECORDS / "many_tasks.jsonl"
MODELS = Path(os.environ.get("KICKBERT_MODELS", Path(tempfile.gettempdir()) / "kickbert-models")) / "many_tasks"
TASKS, PER_CATEGORY, TEXTS, ROUNDS = 10, 5, 1_000, 3


def rows(seed: int) -> pd.DataFrame:
    """Headlines with their descriptions, and their categories."""
    df = load("huffpost", seed, rows=60_000)[0]
    return df.assign(text=df["headline"] + ". " + df["short_description"])


def saved(seed: int) -> dict[str, Path]:
    """A folder per task; models are made and exported unless the scratch folder has them."""
    df = rows(seed)
    few, folders = df.groupby("label").head(PER_CATEGORY), {}
    for category in df["label"].value_counts().index[:TASKS]:
        home = MODELS / f"{seed}-{category.lower().replace(' ', '_')}"
        folders[home.name] = home
        if (home / "latest").exists():
            continue
        task = few[["text"]].assign(label=np.where(few["label"] == category, "yes", "no"))
        learn = kickbert.learner_from_df(task, model="minilm", seed=seed, path=tempfile.mkdtemp())
        learn.model.use_side(True)
        torch.nn.init.normal_(learn.model.head.side.classifier.weight)
        folder = learn.save_artifact(home)
        print(kickbert.export(folder, task.head(30), ["onnx-int8"], force=True).to_string(), flush=True)
    return folders


def texts(folder: Path, seed: int) -> list[str]:
    """Other texts of 25 to 30 tokens."""
    df = rows(seed)
    pool = df.drop(df.groupby("label").head(PER_CATEGORY).index)["text"].drop_duplicates()
    tokens = read_artifact(folder).token_encoder.count(pool.tolist())
    return pool[(tokens >= 25) & (tokens <= 30)].head(TEXTS).tolist()


def speed(seed: int, backend: str) -> dict:
    """Texts per second, each with the predictions of all tasks; means of rounds in turn, and their ratio."""
    folders = saved(seed)
    stream = texts(next(iter(folders.values())), seed)
    joint = kickbert.load_many(folders, backend)
    separate = {name: kickbert.load(folder, backend) for name, folder in folders.items()}
    ways: dict[str, Callable[[], dict]] = {
        "separate models": lambda: {name: model.predict_proba(stream) for name, model in separate.items()},
        "one pass": lambda: joint.predict_proba(stream),
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    used: dict[str, list[float]] = {way: [] for way in ways}
    probs = {}
    load_average = os.getloadavg()[0]
    for _ in range(ROUNDS):
        for way, run in ways.items():
            start, cpu = time.perf_counter(), time.process_time()
            probs[way] = run()
            taken[way].append(time.perf_counter() - start)
            used[way].append(time.process_time() - cpu)
    differences = [np.abs(probs["one pass"][name] - probs["separate models"][name]).max() for name in folders]
    ratios = np.divide(taken["separate models"], taken["one pass"])
    return {
        **{way: len(stream) / np.mean(seconds) for way, seconds in taken.items()},
        "ratio": ratios.mean(),
        "lowest ratio": ratios.min(),
        "ratio of CPU time": sum(used["separate models"]) / sum(used["one pass"]),
        "largest difference": float(max(differences)),
        "load average": load_average,
    }


PARTS: Parts = {"int8": [({"backend": "onnx-int8"}, speed)], "torch": [({"backend": "torch"}, speed)]}


if __name__ == "__main__":
    run_parts(__doc__, RUNS, PARTS, seeds=1)
