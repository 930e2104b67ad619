"""Whole runs, as a user runs them, against Hugging Face's Trainer: a process each, loading and validation counted.

    python benchmarks/whole_runs.py                   # five sets, three seeds; it goes on where it was stopped
    python benchmarks/whole_runs.py --sets sst2 --seeds 1 --ways kickbert trainer-2
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/whole_runs.py --precision fp32

Minilm on the same training rows. *whole s* counts from the start of the process until the validation rows have been
predicted with the final weights, *cpu s* is the CPU time of that, *inner s* the training's alone by each one's own
clock. The Trainer has batches by length and, with bf16, autocast; its two settings are the two that won elsewhere: two
epochs at 2e-4, three at 5e-5. Of each seed the ratio is to the one that is better on validation rows; both are shown.
Test rows are predicted after the clock has stopped. `--ways` knows kickbert's other ladders too.
"""

import argparse
import json
import tempfile
import time
import warnings

import numpy as np
import pandas as pd
from common.record import RECORDS, alone, once, runs
from common.sets import joined, study_parts

RUNS = RECORDS / "whole_runs.jsonl"
ROWS = {"sst2": 7_000, "kickstarter": 12_800, "ag_news": 5_000, "huffpost": 5_000, "imdb": 2_000}
TRAINER = {"trainer-2": {"epochs": 2, "lr": 2e-4}, "trainer-3": {"epochs": 3, "lr": 5e-5}}
LADDERS = {
    "kickbert": {},
    "kickbert auto": {"phases": "auto"},
    "kickbert some tokens": {"token_keep": "auto"},
    "kickbert all tokens": {"head_rows": None},  # and all rows for the head
}
LENGTH = 256  # tokens of a row at most, for all


def kickbert_run(train: pd.DataFrame, valid: pd.DataFrame, columns: list[str], seed: int, way: str, precision: str):
    """The accuracy of a trained learner as a function of rows, that on validation rows, and its seconds of training."""
    import kickbert

    how, df = dict(LADDERS[way]), pd.concat([train, valid], ignore_index=True)
    with tempfile.TemporaryDirectory() as scratch:
        phases = how.pop("phases", None)
        learn = kickbert.learner_from_df(
            df, text_col=columns, model="minilm", valid=df.index[len(train) :], seed=seed, path=scratch,
            max_length=LENGTH, precision=precision, schedule=how,
        )  # fmt: skip
        start = time.perf_counter()
        ladder = learn.fit_gradual(phases)
        inner = time.perf_counter() - start

    def right(test: pd.DataFrame) -> float:
        return float((learn.predict_df(test)["label"].to_numpy() == test["label"].to_numpy()).mean())

    return right, float(learn.validate()[1]), inner, ladder


def trainer_run(train: pd.DataFrame, valid: pd.DataFrame, columns: list[str], seed: int, way: str, precision: str):
    """As `kickbert_run`."""
    from common.peers import Encoded, trainer_of

    from kickbert.utils.hub import minilm_folder

    classes = np.unique(train["label"])

    def coded(part: pd.DataFrame) -> tuple[list[str], np.ndarray]:
        return joined(part, columns), np.searchsorted(classes, part["label"])

    with tempfile.TemporaryDirectory() as scratch:
        how = {**TRAINER[way], "bf16": precision != "fp32"}
        trainer, tokenizer = trainer_of(minilm_folder(), coded(train), scratch, seed=seed, **how)
        start = time.perf_counter()
        trainer.train()
        inner = time.perf_counter() - start

        def right(part: pd.DataFrame) -> float:
            # Grouping by length reorders the rows, so the true labels are those of the answer.
            answer = trainer.predict(Encoded(tokenizer, *coded(part)))
            return float((answer.label_ids == answer.predictions.argmax(1)).mean())

        accuracy = right(valid)
    return right, accuracy, inner, None


def train(name: str, rows: int, seed: int, way: str, precision: str) -> None:
    """What a process of its own runs; it prints what came of it, as JSON."""
    warnings.filterwarnings("ignore")
    train, valid, test, columns = study_parts(name, seed, rows)
    test = test.head(5_000)
    run = kickbert_run if way.startswith("kickbert") else trainer_run
    right, accuracy, inner, ladder = run(train, valid, columns, seed, way, precision)
    ended, cpu = time.time(), time.process_time()
    result = {"ended": ended, "cpu s": cpu, "inner s": inner, "valid": accuracy}
    result["test"] = right(test)
    if ladder is not None:
        result["ladder"] = ladder[["phase", "rows", "seconds", "accuracy"]].round(4).to_dict("records")
    print("\n" + json.dumps(result), flush=True)


def run(name: str, rows: int, seed: int, way: str, precision: str) -> dict:
    """One run, and the seconds until its end."""
    start = time.time()
    result = alone(__file__, "--train", name, rows, seed, way, precision)
    return {"whole s": result.pop("ended") - start, **result}


def table(precision: str) -> str:
    """Means over seeds, and the ratios of seconds to those of the better Trainer of each seed."""
    df = pd.DataFrame([row for row in runs(RUNS) if row["precision"] == precision])
    lines = [
        "| set | way | seeds | valid % | test % | whole s | cpu s | inner s | whole | cpu | inner |",
        "|---" * 11 + "|",
    ]
    better = df[df["way"].isin(TRAINER)].sort_values("valid").groupby(["set", "seed"]).tail(1)
    better = better.set_index(["set", "seed"])
    for (name, way), found in df.groupby(["set", "way"], sort=False):
        found = found.set_index(["set", "seed"])
        both = better.index.intersection(found.index)
        clocks = ["whole s", "cpu s", "inner s"]
        ratios = (better.loc[both, clocks] / found.loc[both, clocks]).mean() if len(both) else pd.Series(dtype=float)
        cells = [f"{100 * found[c].mean():.1f}" for c in ("valid", "test")] + [f"{found[c].mean():.0f}" for c in clocks]
        lines.append(f"| {name} | {way} | {len(found)} | {' | '.join([*cells, *(f'{r:.2f}' for r in ratios)])} |")
    return "\n".join(lines)


def main() -> None:
    """Make the runs that are not on record, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(ROWS))
    parser.add_argument("--ways", nargs="+", default=["kickbert", *TRAINER], choices=[*LADDERS, *TRAINER])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp32"])
    parser.add_argument("--rows", type=int, help="instead of the usual number of each set")
    parser.add_argument("--train", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        name, rows, seed, way, precision = args.train
        return train(name, int(rows), int(seed), way, precision)
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for name in args.sets:
            for way in args.ways:
                what = (name, args.rows or ROWS[name], seed, way, args.precision)
                key = dict(zip(("set", "rows", "seed", "way", "precision"), what, strict=True))
                once(RUNS, lambda what=what: run(*what), **key)
    print(table(args.precision))


if __name__ == "__main__":
    main()
