"""End-to-end runs of kickbert's schedules, Hugging Face's Trainer and other libraries on the same rows.

    python benchmarks/whole_runs.py                   # five sets, three seeds; continues where it stopped
    python benchmarks/whole_runs.py --sets sst2 --seeds 1 --methods kickbert trainer-2 tfidf
    python benchmarks/whole_runs.py --encoder mpnet --sets sst2 kickstarter --rows 2000
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/whole_runs.py --precision fp32

Each run is a process of its own, and methods are interleaved. *whole s* is the time from the start of the process until
the validation rows have been predicted with the final weights, *cpu s* the CPU time of the same, and *train s* the time
of training only. Test rows are predicted afterward and not used for any choice. The Trainer uses bf16, eager attention
and batches grouped by length, with the two settings that were best on validation rows: two epochs at 2e-4, three at
5e-5. Speedups are relative to the one that is better on the validation rows of each seed. "trainer-documented", SetFit
and simpletransformers use their documented defaults.
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass

import numpy as np
import pandas as pd
from common.peers import Predict, fit_setfit, fit_simpletransformers, fit_tfidf, fit_trainer
from common.record import RECORDS, alone, once, runs
from common.sets import joined, study_parts
from encoders import folder_of

ROWS = {"sst2": 7_000, "kickstarter": 12_800, "ag_news": 5_000, "huffpost": 5_000, "imdb": 2_000}
KICKBERT = {"kickbert": None, "kickbert fast": "fast", "kickbert best": "best", "kickbert auto": "auto"}
TRAINER = {"trainer-2": {"epochs": 2, "lr": 2e-4}, "trainer-3": {"epochs": 3, "lr": 5e-5}}
PEERS: dict[str, Callable[..., Predict]] = {
    "trainer-documented": fit_trainer,
    "setfit": fit_setfit,
    "simpletransformers": fit_simpletransformers,
    "tfidf": fit_tfidf,
}
MAX_LENGTH = 256  # tokens per row, for all
MAX_TEST_ROWS = {"minilm": 5_000, "mpnet": 2_000}
CLOCKS = ["whole s", "cpu s", "train s"]


@dataclass
class Run:
    """The settings of a run, which are also its key among the recorded runs."""

    set: str
    rows: int
    seed: int
    method: str
    precision: str
    encoder: str

    def __post_init__(self):
        self.rows = int(self.rows)
        self.seed = int(self.seed)


def fit_kickbert(run: Run, train: pd.DataFrame, valid: pd.DataFrame, columns: list[str]) -> Callable:
    """Train a learner and return a function from rows to their accuracy."""
    import kickbert

    df = pd.concat([train, valid], ignore_index=True)
    with tempfile.TemporaryDirectory() as scratch:
        learn = kickbert.learner_from_df(
            df,
            text_col=columns,
            model=folder_of(run.encoder),
            valid=df.index[len(train) :],
            seed=run.seed,
            path=scratch,
            max_length=MAX_LENGTH,
            precision=run.precision,
        )
        learn.fit_gradual(KICKBERT[run.method])
    return lambda rows: float((learn.predict_df(rows)["predicted_label"].to_numpy() == rows["label"].to_numpy()).mean())


def fit_peer(run: Run, train: pd.DataFrame, valid: pd.DataFrame, columns: list[str]) -> Callable:
    """Train another library's model and return a function from rows to their accuracy."""
    classes = np.unique(train["label"])
    fit = PEERS.get(run.method, fit_trainer)
    settings = {"bf16": run.precision != "fp32", **TRAINER.get(run.method, {"tuned": False})}
    predict = fit(
        (joined(train, columns), np.searchsorted(classes, train["label"])),
        (joined(valid, columns), np.searchsorted(classes, valid["label"])),
        folder=folder_of(run.encoder),
        seed=run.seed,
        **(settings if fit is fit_trainer else {}),
    )
    return lambda rows: float((classes[predict(joined(rows, columns))] == rows["label"].to_numpy()).mean())


def train(run: Run) -> None:
    """Train in this process and print the result as JSON."""
    warnings.filterwarnings("ignore")
    train, valid, test, columns = study_parts(run.set, run.seed, run.rows)
    valid = valid[valid["label"].isin(train["label"])]
    fit = fit_kickbert if run.method in KICKBERT else fit_peer
    start = time.perf_counter()
    accuracy = fit(run, train, valid, columns)
    seconds = time.perf_counter() - start
    result = {"train s": seconds, "valid": accuracy(valid), "ended": time.time(), "cpu s": time.process_time()}
    result["test"] = accuracy(test.head(MAX_TEST_ROWS[run.encoder]))
    print("\n" + json.dumps(result), flush=True)


def whole(run: Run) -> dict:
    """Run in a process of its own, and add the seconds until its end."""
    start = time.time()
    result = alone(__file__, "--train", *astuple(run))
    return {"whole s": result.pop("ended") - start, **result}


def table(df: pd.DataFrame) -> str:
    """Means over seeds, and speedups over the better Trainer setting of each seed, in Markdown."""
    by = ["set", "rows", "seed"]
    better = df[df["method"].isin(TRAINER)].sort_values("valid").groupby(by).tail(1).set_index(by)
    names = ["set", "rows", "method", "seeds", "valid %", "test %", *CLOCKS, *(f"times by {c}" for c in CLOCKS)]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for (name, rows, method), group in df.groupby(["set", "rows", "method"], sort=False):
        group = group.set_index(by)
        both = better.index.intersection(group.index)
        ratios = (better.loc[both, CLOCKS] / group.loc[both, CLOCKS]).mean() if len(both) else pd.Series(dtype=float)
        cells = [name, f"{rows:,}", method, str(len(group))]
        cells += [f"{100 * group[c].mean():.1f}" for c in ("valid", "test")]
        cells += [f"{group[c].mean():.0f}" for c in CLOCKS]
        cells += [f"{ratio:.2f}" for ratio in ratios]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Make the runs that are not recorded yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(ROWS), help="with --rows, others of common/sets.py too")
    methods = [*KICKBERT, *TRAINER, *PEERS]
    parser.add_argument("--methods", nargs="+", default=["kickbert", *TRAINER], choices=methods)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp32"])
    parser.add_argument("--rows", type=int, help="instead of the usual number for each set")
    parser.add_argument("--encoder", default="minilm", choices=["minilm", "mpnet"])
    parser.add_argument("--runs", default="whole_runs.jsonl", help="file of the recorded runs, in runs/")
    parser.add_argument("--train", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        return train(Run(*args.train))
    file = RECORDS / args.runs
    for seed in range(args.seeds):
        for name in args.sets:
            for method in args.methods:
                run = Run(name, args.rows or ROWS[name], seed, method, args.precision, args.encoder)
                once(file, lambda run=run: whole(run), **asdict(run))
    recorded = [r for r in runs(file) if (r["precision"], r["encoder"]) == (args.precision, args.encoder)]
    print(table(pd.DataFrame(recorded)))


if __name__ == "__main__":
    main()
