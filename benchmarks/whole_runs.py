"""Whole runs, as a user runs them, against Hugging Face's Trainer: a process each, loading and validation counted.

    python benchmarks/whole_runs.py                   # five sets, three seeds; it goes on where it was stopped
    python benchmarks/whole_runs.py --sets sst2 --seeds 1 --ways kickbert trainer-2
    python benchmarks/whole_runs.py --encoder mpnet --sets sst2 imdb ag_news reuters52 --rows 2000
    python benchmarks/whole_runs.py --runs ladders.jsonl --ways kickbert "kickbert some, then all" "kickbert 2-4"
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/whole_runs.py --precision fp32

Minilm, or another encoder, on the same training rows. *whole s* counts from the start of the process until the
validation rows have been predicted with the final weights, *cpu s* is the CPU time of that, *inner s* the training's
alone by each one's own clock. The Trainer has batches by length and, with bf16, autocast; its two settings are the two
that won elsewhere: two epochs at 2e-4, three at 5e-5. Of each seed the ratio is to the one that is better on validation
rows; both are shown. Test rows are predicted after the clock has stopped. `--ways` knows kickbert's other ladders too;
`--runs` names another file, for runs that are to be set beside those of the same day alone.
"""

import argparse
import json
import tempfile
import time
import warnings
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from common.record import RECORDS, alone, once, runs
from common.sets import joined, study_parts
from encoders import folder_of
from schedules import SCHEDULES

RUNS = "whole_runs.jsonl"
ROWS = {"sst2": 7_000, "kickstarter": 12_800, "ag_news": 5_000, "huffpost": 5_000, "imdb": 2_000}
TRAINER = {"trainer-2": {"epochs": 2, "lr": 2e-4}, "trainer-3": {"epochs": 3, "lr": 5e-5}}
LADDERS = {
    "kickbert": {},
    "kickbert auto": {"phases": "auto"},
    "kickbert some tokens": {"token_keep": "auto"},
    "kickbert some, then all": {"token_keep": ("auto", 1)},
    "kickbert 2-4": SCHEDULES["2-4, one epoch each"],
    "kickbert all tokens": {"head_rows": None},  # and all rows for the head
}
LENGTH = 256  # tokens of a row at most, for all
TEST = {"minilm": 5_000, "mpnet": 2_000}  # test rows at most


@dataclass
class Run:
    """What is trained how, as `once` knows it by."""

    set: str
    rows: int
    seed: int
    way: str
    precision: str
    encoder: str

    def __post_init__(self):
        self.rows, self.seed = int(self.rows), int(self.seed)


def kickbert_run(run: Run, train: pd.DataFrame, valid: pd.DataFrame, columns: list[str]):
    """The accuracy of a trained learner as a function of rows, that on validation rows, and its seconds of training."""
    import kickbert

    how, df = dict(LADDERS[run.way]), pd.concat([train, valid], ignore_index=True)
    with tempfile.TemporaryDirectory() as scratch:
        phases = how.pop("phases", None)
        learn = kickbert.learner_from_df(
            df, text_col=columns, model=folder_of(run.encoder), valid=df.index[len(train) :], seed=run.seed,
            path=scratch, max_length=LENGTH, precision=run.precision, schedule=how,
        )  # fmt: skip
        start = time.perf_counter()
        ladder = learn.fit_gradual(phases)
        inner = time.perf_counter() - start

    def right(test: pd.DataFrame) -> float:
        return float((learn.predict_df(test)["label"].to_numpy() == test["label"].to_numpy()).mean())

    return right, float(learn.validate()[1]), inner, ladder


def trainer_run(run: Run, train: pd.DataFrame, valid: pd.DataFrame, columns: list[str]):
    """As `kickbert_run`."""
    from common.peers import Encoded, trainer_of

    classes = np.unique(train["label"])

    def coded(part: pd.DataFrame) -> tuple[list[str], np.ndarray]:
        known = part["label"].isin(classes)  # -100, which a loss leaves out, is for a class of which no row trains
        return joined(part, columns), np.where(known, np.searchsorted(classes, part["label"]), -100)

    with tempfile.TemporaryDirectory() as scratch:
        how = {**TRAINER[run.way], "bf16": run.precision != "fp32"}
        trainer, tokenizer = trainer_of(folder_of(run.encoder), coded(train), scratch, seed=run.seed, **how)
        start = time.perf_counter()
        trainer.train()
        inner = time.perf_counter() - start

        def right(part: pd.DataFrame) -> float:
            # Grouping by length reorders the rows, so the true labels are those of the answer.
            answer = trainer.predict(Encoded(tokenizer, *coded(part)))
            return float((answer.label_ids == answer.predictions.argmax(1)).mean())

        accuracy = right(valid)
    return right, accuracy, inner, None


def train(run: Run) -> None:
    """What a process of its own runs; it prints what came of it, as JSON."""
    warnings.filterwarnings("ignore")
    train, valid, test, columns = study_parts(run.set, run.seed, run.rows)
    valid, test = valid[valid["label"].isin(train["label"])], test.head(TEST[run.encoder])
    trained = kickbert_run if run.way.startswith("kickbert") else trainer_run
    right, accuracy, inner, ladder = trained(run, train, valid, columns)
    ended, cpu = time.time(), time.process_time()
    result = {"ended": ended, "cpu s": cpu, "inner s": inner, "valid": accuracy}
    result["test"] = right(test)
    if ladder is not None:
        result["ladder"] = ladder[["phase", "rows", "seconds", "accuracy"]].round(4).to_dict("records")
    print("\n" + json.dumps(result), flush=True)


def whole(run: Run) -> dict:
    """One run, and the seconds until its end."""
    start = time.time()
    result = alone(__file__, "--train", *astuple(run))
    return {"whole s": result.pop("ended") - start, **result}


def recorded(file: Path, precision: str, encoder: str) -> pd.DataFrame:
    """All runs of an encoder in a precision."""
    return pd.DataFrame([r for r in runs(file) if (r["precision"], r["encoder"]) == (precision, encoder)])


def table(df: pd.DataFrame) -> str:
    """Means over seeds, and the ratios of seconds to those of the better Trainer of each seed."""
    lines = [
        "| set | rows | way | seeds | valid % | test % | whole s | cpu s | inner s | whole | cpu | inner |",
        "|---" * 12 + "|",
    ]
    by = ["set", "rows", "seed"]
    better = df[df["way"].isin(TRAINER)].sort_values("valid").groupby(by).tail(1).set_index(by)
    for (name, rows, way), found in df.groupby(["set", "rows", "way"], sort=False):
        found = found.set_index(by)
        both = better.index.intersection(found.index)
        clocks = ["whole s", "cpu s", "inner s"]
        ratios = (better.loc[both, clocks] / found.loc[both, clocks]).mean() if len(both) else pd.Series(dtype=float)
        cells = [name, f"{rows:,}", way, str(len(found)), *(f"{100 * found[c].mean():.1f}" for c in ("valid", "test"))]
        cells += [f"{found[c].mean():.0f}" for c in clocks] + [f"{ratio:.2f}" for ratio in ratios]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def pairs(df: pd.DataFrame) -> str:
    """What kickbert's other ladders change against its default on the same rows and seed; means over seeds."""
    df = df.set_index(["set", "rows", "seed"])
    lines = ["| set | rows | way | seeds | whole s, % | cpu s, % | valid, points | test, points |", "|---" * 8 + "|"]
    clocks, scores, default = ["whole s", "cpu s"], ["valid", "test"], df[df["way"] == "kickbert"]
    for way in list(LADDERS)[1:]:
        found = df[df["way"] == way]
        both = found.index.intersection(default.index)
        new, old = found.loc[both], default.loc[both]
        changes = 100 * pd.concat([new[clocks] / old[clocks] - 1, new[scores] - old[scores]], axis=1)
        for (name, rows), change in changes.groupby(["set", "rows"]):
            whole, cpu, valid, test = change.mean()
            cells = [name, f"{rows:,}", way, str(len(change)), f"{whole:+.0f}", f"{cpu:+.0f}"]
            lines.append(f"| {' | '.join([*cells, f'{valid:+.1f}', f'{test:+.1f}'])} |")
    return "\n".join(lines)


def main() -> None:
    """Make the runs that are not on record, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(ROWS), help="with --rows others of common/sets.py too")
    parser.add_argument("--ways", nargs="+", default=["kickbert", *TRAINER], choices=[*LADDERS, *TRAINER])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp32"])
    parser.add_argument("--rows", type=int, help="instead of the usual number of each set")
    parser.add_argument("--encoder", default="minilm", choices=["minilm", "mpnet"])
    parser.add_argument("--runs", default=RUNS, help="file of the runs, in runs/")
    parser.add_argument("--train", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        return train(Run(*args.train))
    file = RECORDS / args.runs
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for name in args.sets:
            for way in args.ways:
                run = Run(name, args.rows or ROWS[name], seed, way, args.precision, args.encoder)
                once(file, lambda run=run: whole(run), **asdict(run))
    found = recorded(file, args.precision, args.encoder)
    print(f"{table(found)}\n\n{pairs(found)}")


if __name__ == "__main__":
    main()
