"""Seconds to an accuracy: kickbert against Hugging Face's Trainer, simpletransformers and SetFit.

    python benchmarks/time_to_accuracy.py                       # hours; it goes on where it was stopped
    python benchmarks/time_to_accuracy.py --sets sst2 --models kickbert tuned --seeds 1
    python benchmarks/time_to_accuracy.py --models steps "one curve" --seeds 1 --runs one_curve.jsonl
    python benchmarks/time_to_accuracy.py --models kickbert documented setfit --seeds 1 --runs slow_rivals.jsonl

Same encoder (minilm), rows, test rows and machine for all; a seed after another, a set after another, and within them
the models by turns. The clock starts at the texts (loading the weights and tokenising count) and stands still while
anybody looks at test or validation rows. Each run is a line in `time_to_accuracy.jsonl`, or the file that `--runs`
names, with the machine's rate of bf16 matrix products just before it; runs that are there already are not made again.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from common.rates import product_rate
from common.record import RECORDS, once, runs
from common.sets import joined, load
from common.watch import Watch
from fastai.callback.core import Callback
from schedules import SCHEDULES

import kickbert
from kickbert import gradual_unfreezing

HERE = Path(__file__).parent
RUNS = RECORDS / "time_to_accuracy.jsonl"
ROWS = {"sst2": 7_000, "kickstarter": 12_800, "ag_news": 10_000}
LENGTH = {"sst2": 64, "kickstarter": 128, "ag_news": 128}  # what simpletransformers pads to
GRID = [(5e-5, 2), (5e-5, 3), (2e-4, 2), (2e-4, 3)]  # the tuned Trainer's rate and epochs, chosen on validation rows
LADDERS = {
    "kickbert": {},
    "phased": SCHEDULES["2-4, last two epochs, 2e-4 before"],
    "steps": SCHEDULES["2-4, one epoch each"],
    "one curve": SCHEDULES["2-4, one epoch each, on one curve"],
}
PAIRS = 4_000  # SetFit's; it is made for few rows, and one pass over pairs of all would take longest of all
NAMES = {
    "kickbert": "kickbert",
    "phased": "kickbert, the last two layers before the last four",
    "steps": "kickbert, last two layers, then last four, an epoch each",
    "one curve": "the same, one curve of rates over both",
    "tuned": "Trainer, bf16, grouped, tuned",
    "documented": "Trainer as documented",
    "simpletransformers": "simpletransformers",
    "setfit": "SetFit",
}
CLOSER = ("steps", "one curve")  # looked at every quarter of an epoch, for what happens when layers join
USUAL = [model for model in NAMES if model not in CLOSER]


class OffTheClock(Callback):
    """Stops the watch while kickbert validates, which the rivals do not do."""

    run_train = False

    def __init__(self, watch: Watch):
        self.watch = watch

    def before_validate(self):
        self.pause = self.watch.stopped()
        self.pause.__enter__()

    def after_validate(self):
        self.pause.__exit__(None, None, None)


def run_kickbert(parts: list[pd.DataFrame], columns: list[str], seed: int, every: int, ladder: dict) -> Watch:
    """kickbert with its defaults, or another ladder; stores of its own, so that none is there from another run."""
    train, valid, test = parts
    df = pd.concat([train.assign(split="train"), valid.assign(split="valid")], ignore_index=True)
    with tempfile.TemporaryDirectory() as scratch:
        watch = Watch(np.searchsorted(sorted(set(train["label"])), test["label"]), every)
        learn = kickbert.learner_from_df(
            df, text_col=columns, model="minilm", valid="split", seed=seed, path=scratch, cache=kickbert.Cache()
        )
        with watch.stopped():
            ids = learn.dls.test_dl(test).rows[0]
        with watch.over(learn.model, learn.model, [ids.row(i) for i in range(len(ids))]):
            phases = gradual_unfreezing(len(learn.groups), **ladder)
            learn.fit_gradual(phases, cbs=[OffTheClock(watch)])
    return watch


def run_peer(model: str, parts: list[pd.DataFrame], columns: list[str], seed: int, name: str, every: int) -> Watch:
    """A rival."""
    from common import peers

    classes = sorted(set(parts[0]["label"]))
    train, _, test = [(joined(part, columns), np.searchsorted(classes, part["label"])) for part in parts]
    if model == "documented":
        return peers.watched_trainer(train, test, every, seed=seed, tuned=False)
    if model == "tuned":
        lr, epochs = best_of_grid(name)
        return peers.watched_trainer(train, test, every, seed=seed, lr=lr, epochs=epochs)
    if model == "simpletransformers":
        return peers.watched_simpletransformers(train, test, every, seed=seed, epochs=1, length=LENGTH[name])
    return peers.watched_setfit(train, test, seed=seed, pairs=PAIRS)


def run(model: str, name: str, seed: int) -> dict:
    """Train; the curve, the seconds and the accuracy at its end, and the machine's rate before it."""
    *parts, columns = load(name, seed, ROWS[name])
    every = -(-len(parts[0]) // (128 if model in CLOSER else 64))  # a quarter, or half, of an epoch in batches of 32
    rate = product_rate(512, 384, 1536)
    if model in LADDERS:
        watch = run_kickbert(parts, columns, seed, every, LADDERS[model])
    else:
        watch = run_peer(model, parts, columns, seed, name, every)
    seconds, accuracy = watch.curve[-1]
    return {"seconds": seconds, "accuracy": accuracy, "gflops": round(rate / 1e9), "curve": watch.curve}


def run_grid(name: str, lr: float, epochs: int) -> dict:
    """A setting of the tuned Trainer: accuracy on validation rows, on rows of a seed that is not reported."""
    from common.peers import hf_trainer

    train, valid, _, columns = load(name, 100, 4_000)
    classes = sorted(set(train["label"]))
    coded = [(joined(part, columns), np.searchsorted(classes, part["label"])) for part in (train, valid)]
    truth, predicted = hf_trainer(coded[0], coded[1:], lr=lr, epochs=epochs, seed=100)[0][0]
    return {"valid_accuracy": float((truth == predicted).mean())}


def best_of_grid(name: str) -> tuple[float, int]:
    """The tuned Trainer's rate and epochs."""
    found = {}
    for lr, epochs in GRID:
        row = once(RUNS, lambda lr=lr, epochs=epochs: run_grid(name, lr, epochs), set=name, grid=lr, epochs=epochs)
        found[lr, epochs] = row["valid_accuracy"]
    return max(found, key=found.get)


def main() -> None:
    """Make the runs asked for, print the tables and draw the picture."""
    from curves import draw, tables

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--models", nargs="+", default=USUAL, choices=list(NAMES))
    parser.add_argument("--seeds", type=int, default=3, help="of kickbert and the tuned Trainer; the others run once")
    parser.add_argument("--runs", default=RUNS.name, help="file of the runs, in runs/; its picture is drawn here")
    args = parser.parse_args()
    file = RECORDS / args.runs
    warnings.filterwarnings("ignore", category=FutureWarning)
    for name in args.sets:
        if "tuned" in args.models:
            best_of_grid(name)
    for seed in range(args.seeds):
        for name in args.sets:
            for model in args.models:
                if seed == 0 or model in (*LADDERS, "tuned"):
                    work = lambda: run(model, name, seed)  # noqa: B023, E731 - called at once
                    once(file, work, set=name, model=model, seed=seed)
    found = [row for row in runs(file) if "model" in row]
    print(tables(found, NAMES))
    draw(found, NAMES, HERE / f"{file.stem}.png")


if __name__ == "__main__":
    main()
