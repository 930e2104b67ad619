"""Validation accuracy of schedules after each phase; test rows are never read.

    python benchmarks/schedules.py --sets sst2 kickstarter --schedules "2-4, one epoch each" --seeds 2

Each run is a line in `schedules.jsonl`; rows are drawn with other seeds than in `whole_runs.py`.
"""

import argparse
import tempfile

import numpy as np
import pandas as pd
from common.record import RECORDS, once, runs
from common.sets import load

RUNS = RECORDS / "schedules.jsonl"
ROWS = {"kickstarter": 12_800, "sst2": 5_000, "huffpost": 5_000, "ag_news": 10_000}
HEAD = 2e-3
STEPS = {"layers": (0, 2, 4)}
# Arguments of `gradual_unfreezing`: layers trained in each phase, epochs, learning rates; and rows per batch.
SCHEDULES = {
    "2-4, last two epochs": STEPS | {"epochs": (1, 1, 2), "lr": (HEAD, 4e-4, 4e-4)},
    "2-4, one epoch each": STEPS | {"epochs": (1, 1, 1), "lr": (HEAD, 4e-4, 4e-4)},
    "2-4, one epoch each, 8e-4 last": STEPS | {"epochs": (1, 1, 1), "lr": (HEAD, 4e-4, 8e-4)},
    "2-4, last two epochs at 2e-4": STEPS | {"epochs": (1, 1, 2), "lr": (HEAD, 4e-4, 2e-4)},
    "2-4, last two epochs, 2e-4 before": STEPS | {"epochs": (1, 1, 2), "lr": (HEAD, 2e-4, 4e-4)},
    "2-4, head four epochs": STEPS | {"epochs": (4, 1, 1), "lr": (2 * HEAD, 4e-4, 3e-4)},
    "2-4, head four epochs, low": STEPS | {"epochs": (4, 1, 2), "lr": (2 * HEAD, 3e-4, 2e-4)},
    "4, two epochs": {"layers": (0, 4), "epochs": (4, 2), "lr": (2 * HEAD, 4e-4)},
    "4, two epochs, head one epoch": {"layers": (0, 4), "epochs": (1, 2), "lr": (HEAD, 4e-4)},
    "4, two epochs at 2e-4": {"layers": (0, 4), "epochs": (4, 2), "lr": (2 * HEAD, 2e-4)},
    "default": {},  # the current default; recorded runs of "4, two epochs, head one epoch" are of earlier code
    "default, batches of 64 at 6e-4": {"bs": 64, "lr": (1.5 * HEAD, 6e-4)},
    "default, batches of 128 at 8e-4": {"bs": 128, "lr": (2 * HEAD, 8e-4)},
}


def run(name: str, rows: int, schedule: str, seed: int) -> dict:
    """Train with a schedule; return validation accuracy and loss after each phase."""
    import kickbert

    how = dict(SCHEDULES[schedule])
    batches = {"bs": how.pop("bs")} if "bs" in how else {}
    train, valid, _, columns = load(name, 100 + seed, rows)
    df = pd.concat([train.assign(split="train"), valid.assign(split="valid")], ignore_index=True)
    with tempfile.TemporaryDirectory() as scratch:
        learn = kickbert.learner_from_df(
            df, text_col=columns, model="minilm", valid="split", seed=seed, path=scratch, **batches
        )
        ladder = learn.fit_gradual(kickbert.gradual_unfreezing(len(learn.groups), **how))
    return {name: ladder[name].round(4).tolist() for name in ("accuracy", "valid_loss")}


def table() -> str:
    """Mean validation accuracy after the last phase, with the number of seeds, as a Markdown table."""
    df = pd.DataFrame(runs(RUNS))
    df["set"] = df["set"] + " " + df["rows"].map("{:,}".format)
    df["last"] = df["accuracy"].str[-1]
    names = list(df["set"].unique())
    lines = ["| schedule | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for schedule, group in df.groupby("schedule", sort=False):
        columns = [group.loc[group["set"] == name, "last"] for name in names]
        cells = [f"{100 * np.mean(c):.1f} ({len(c)})" if len(c) else "" for c in columns]
        lines.append(f"| {schedule} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Make the runs asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--schedules", nargs="+", default=list(SCHEDULES), choices=list(SCHEDULES))
    parser.add_argument("--rows", type=int, help="training rows")
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    for schedule in args.schedules:
        for name in args.sets:
            rows = args.rows or ROWS[name]
            for seed in range(args.seeds):
                work = lambda: run(name, rows, schedule, seed)  # noqa: E731, B023 - called at once
                once(RUNS, work, set=name, rows=rows, schedule=schedule, seed=seed)
    print(table())


if __name__ == "__main__":
    main()
