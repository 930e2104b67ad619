"""Whether `fit_gradual(budget=)` keeps to its time, and how near it comes to the best ladder that the time allows.

    python benchmarks/budgets.py                       # three sets, one seed; it goes on where it was stopped
    python benchmarks/budgets.py --seconds 120 --seeds 3

minilm on sets of different size. *seconds* are those of `fit_gradual`, computing what is frozen and validation counted.
The grid is of fixed ladders on all rows, each with a cache of its own; those within the budget's tenth compete, and the
one that is best on validation rows is compared on test rows.
"""

import argparse
import tempfile
import time
import warnings

import pandas as pd
from common.record import RECORDS, once, runs
from common.sets import study_parts

RUNS = RECORDS / "budgets.jsonl"
ROWS = {"kickstarter": 1_500, "sst2": 3_000, "ag_news": 4_000}
TEST = 2_000  # rows at most
LATE = 1.1  # times the budget
GRID = {
    "head": {"layers": (0,), "epochs": (2,), "lr": 2e-3},
    "last 2 layers, 1 epoch": {"layers": (0, 2), "epochs": (1, 1), "lr": (2e-3, 4e-4)},
    "last 2 layers, 2 epochs": {"layers": (0, 2), "epochs": (1, 2), "lr": (2e-3, 4e-4)},
    "last 4 layers, 1 epoch": {"layers": (0, 4), "epochs": (1, 1), "lr": (2e-3, 4e-4)},
    "last 4 layers, 2 epochs": {"layers": (0, 4), "epochs": (1, 2), "lr": (2e-3, 4e-4)},
}


def trained(name: str, rows: int, seed: int, seconds: float, way: str) -> dict:
    """Seconds of a training within so many, or by a way of the grid; accuracy on validation and test rows."""
    import kickbert

    train, valid, test, columns = study_parts(name, seed, rows)
    df, test = pd.concat([train, valid], ignore_index=True), test.head(TEST)
    with tempfile.TemporaryDirectory() as scratch:
        learn = kickbert.learner_from_df(
            df, text_col=columns, model="minilm", valid=df.index[len(train) :], seed=seed, path=scratch,
            cache=kickbert.Cache(), schedule=GRID.get(way),
        )  # fmt: skip
        start = time.perf_counter()
        ladder = learn.fit_gradual(budget=seconds or None)
        taken = time.perf_counter() - start
        found = {"seconds": taken, "valid": float(learn.validate()[1]), "phases": ", ".join(ladder["phase"])}
    right = learn.predict_df(test)["label"].to_numpy() == test["label"].to_numpy()
    return found | {"test": float(right.mean())}


def table(seconds: float) -> str:
    """A row per set and seed, in Markdown."""
    df = pd.DataFrame([row for row in runs(RUNS) if row["budget"] in (0, seconds)])
    lines = [
        "| set | rows | seed | budget s | seconds | test % | phases | best of the grid | seconds | test % |",
        "|---" * 10 + "|",
    ]
    for (name, rows, seed), found in df.groupby(["set", "rows", "seed"], sort=False):
        own, grid = found[found["way"] == "budget"].iloc[0], found[found["way"] != "budget"]
        best = grid[grid["seconds"] <= LATE * seconds].sort_values("valid").iloc[-1]
        cells = [name, f"{rows:,}", str(seed), f"{seconds:g}", f"{own['seconds']:.1f}", f"{100 * own['test']:.1f}"]
        cells += [own["phases"], best["way"], f"{best['seconds']:.1f}", f"{100 * best['test']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Make the runs that are not on record, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    for seed in range(args.seeds):
        for name in args.sets:
            for way in ("budget", *GRID):
                budget = args.seconds if way == "budget" else 0
                what = {"set": name, "rows": ROWS[name], "seed": seed, "way": way, "budget": budget}
                how = (name, ROWS[name], seed, budget, way)
                once(RUNS, lambda how=how: trained(*how), **what)
    print(table(args.seconds))


if __name__ == "__main__":
    main()
