"""Accuracy and speed of a three-layer student against its teacher.

    python benchmarks/distillation.py                  # three seeds; continues where it stopped
    python benchmarks/distillation.py --seeds 1 --rows 400 --sets ag_news    # a quick look on few rows

*student*: the teacher is minilm trained by `fit_gradual` on the usual training rows; the student has its first three
layers and learns the teacher's predictions for all texts except the test rows, most of them unlabeled. Both in int8, on
the test rows: accuracy in percent, relative to the teacher's, texts per second (interleaved), and MB.
*labels*: the same three layers trained for as long on the labels of the training rows, without the teacher, to show
what distillation adds.
"""

import argparse
import os
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from common.record import RECORDS, Parts, measure
from common.sets import ROWS, load

import kickbert

RUNS = RECORDS / "distillation.jsonl"
MODELS = Path(os.environ.get("KICKBERT_MODELS", Path(tempfile.gettempdir()) / "kickbert-models"))
LAYERS, TURNS = 3, 5
TEXTS = 2_000  # maximum number of timed test texts
ALL = 10**6  # more rows than any set has


def parts_of(name: str, seed: int, rows: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, list[str]]:
    """Like `load`, with fewer test rows if there are few training rows."""
    train, valid, test, columns = load(name, seed, rows)
    return train, valid, test if rows == ROWS[name] else test.head(rows), columns


def saved(name: str, seed: int, rows: int) -> Path:
    """A fine-tuned minilm in int8, from the scratch folder if it exists."""
    home = MODELS / f"teacher-{name}-{seed}-{rows}"
    if (home / "latest").exists():
        return home / "v1"
    train, valid, _, columns = parts_of(name, seed, rows)
    df = pd.concat([train.assign(split="train"), valid.assign(split="valid")], ignore_index=True)
    learn = kickbert.learner_from_df(
        df, text_col=columns, model="minilm", valid="split", seed=seed, path=tempfile.mkdtemp()
    )
    learn.fit_gradual()
    return exported(learn, home, valid)


def exported(learn: kickbert.GradualLearner, home: Path, valid: pd.DataFrame) -> Path:
    """Folder of a learner's artifact with its int8 model."""
    folder = learn.save_artifact(home)
    print(kickbert.export(folder, valid, ["onnx-int8"], force=True).to_string(), flush=True)
    return folder


def student(seed: int, name: str, rows: int) -> dict:
    """Compare the student with its teacher, both in int8."""
    folder, (_, valid, test, columns) = saved(name, seed, rows), parts_of(name, seed, rows)
    pool = load(name, seed, ALL if rows == ROWS[name] else rows)[0][columns]
    teacher = kickbert.load(folder, backend="torch")
    start = time.perf_counter()
    learn = kickbert.distill(teacher, pool, LAYERS, valid=0.1, seed=seed, path=tempfile.mkdtemp())
    seconds = time.perf_counter() - start
    home = Path(tempfile.mkdtemp())
    models = {"teacher": kickbert.load(folder, backend="onnx-int8"),
              "student": kickbert.load(exported(learn, home, valid), backend="onnx-int8")}  # fmt: skip
    accuracy = {which: 100 * _accuracy(model, test) for which, model in models.items()}
    speed = _by_turns(models, test[columns].head(TEXTS))
    size = {which: model.artifact.manifest["model.int8.onnx"]["bytes"] / 1e6 for which, model in models.items()}
    return {
        "texts": len(pool),
        **{f"{which}, accuracy": value for which, value in accuracy.items()},
        "share of accuracy": accuracy["student"] / accuracy["teacher"],
        "student in fp32, accuracy": 100 * _accuracy(learn, test),
        **{f"{which}, texts/s": value for which, value in speed.items()},
        "times as fast": speed["student"] / speed["teacher"],
        **{f"{which}, MB": value for which, value in size.items()},
        "seconds to distil": seconds,
    }


def labels(seed: int, name: str, rows: int) -> dict:
    """The same layers trained on labels alone."""
    train, _, test, _ = parts_of(name, seed, rows)
    teacher = kickbert.load(saved(name, seed, rows), backend="torch")
    learn = kickbert.distill(
        teacher, train, LAYERS, label_weight=1.0, valid=0.1, seed=seed, path=tempfile.mkdtemp()
    )  # the loss uses the labels only, not the predictions
    accuracy = {"teacher": 100 * _accuracy(teacher, test), "labels alone": 100 * _accuracy(learn, test)}
    return {f"{which}, accuracy": value for which, value in accuracy.items()} | {
        "share of accuracy": accuracy["labels alone"] / accuracy["teacher"]
    }


def _accuracy(model: kickbert.GradualLearner | kickbert.Predictor, test: pd.DataFrame) -> float:
    return kickbert.evaluate(model, test, compare=False, rounds=2)["accuracy"]


def _by_turns(models: dict[str, kickbert.Predictor], texts: pd.DataFrame) -> dict[str, float]:
    """Texts per second of each model, median of several interleaved rounds."""
    taken: dict[str, list[float]] = {which: [] for which in models}
    for turn in range(TURNS + 1):
        for which, model in models.items():
            start = time.perf_counter()
            model.predict(texts)
            if turn:  # the first is a warm-up
                taken[which].append(time.perf_counter() - start)
    return {which: len(texts) / float(np.median(seconds)) for which, seconds in taken.items()}


def main() -> None:
    """Make the runs asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=["student", "labels"], choices=["student", "labels"])
    parser.add_argument("--sets", nargs="+", default=["kickstarter", "ag_news"], choices=list(ROWS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="training rows for a quick look; nothing is recorded")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    works = {"student": student, "labels": labels}
    parts: Parts = {
        part: [({"name": name, "rows": args.rows or ROWS[name]}, partial(works[part])) for name in args.sets]
        for part in args.parts
    }
    file = RUNS if args.rows is None else Path(tempfile.mkdtemp()) / RUNS.name
    measure(file, parts, args.parts, args.seeds)


if __name__ == "__main__":
    main()
