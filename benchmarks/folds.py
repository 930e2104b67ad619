"""Five-fold cross-validation of the head and the last two layers against one fit; folds share the cache.

    python benchmarks/folds.py                  # minilm and MPNet, 2,000 rows of Kickstarter
    python benchmarks/folds.py --models minilm --rows 5000

"alone" is one fit on four fifths of the rows with a cache of its own; "apart" are five such fits that share nothing.
All start at the DataFrame. The three are interleaved, and each round starts with an empty cache.
"""

import argparse
import tempfile
import time
import warnings

import numpy as np
import pandas as pd
from common.record import RECORDS, once, runs
from common.sets import load
from encoders import folder_of
from sklearn.model_selection import StratifiedKFold

from kickbert import Cache, gradual_unfreezing, learner_from_df

RUNS = RECORDS / "folds.jsonl"
FOLDS = 5
PHASES = {"layers": (0, 2), "epochs": (1, 1), "lr": (2e-3, 2e-4)}


def fit(df: pd.DataFrame, columns: list[str], held: np.ndarray, model: str, stores: Cache) -> float:
    """Train on all rows except the held-out ones; the accuracy on those."""
    with tempfile.TemporaryDirectory() as scratch:
        learn = learner_from_df(
            df, text_col=columns, model=folder_of(model), valid=df.index[held], cache=stores, path=scratch
        )
        learn.logger = lambda *a: None
        ladder = learn.fit_gradual(gradual_unfreezing(len(learn.groups), **PHASES))
    return float(ladder["accuracy"].iloc[-1])


def measure(way: str, model: str, rows: int, seed: int) -> dict:
    """Seconds, and the mean accuracy on held-out rows."""
    df, _, _, columns = load("kickstarter", seed, rows)
    folds = [held for _, held in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(df, df["label"])]
    shared, start = Cache(), time.perf_counter()
    chosen = folds[:1] if way == "alone" else folds
    accuracies = [fit(df, columns, held, model, Cache() if way == "apart" else shared) for held in chosen]
    return {"seconds": time.perf_counter() - start, "accuracy": float(np.mean(accuracies))}


def table() -> str:
    """Mean seconds by method and model, and the ratios, in Markdown."""
    df = pd.DataFrame(runs(RUNS))
    lines = [
        "| encoder, rows | rounds | one fit, s | five folds, s | folds / one fit | five separate fits, s |",
        "|---" * 6 + "|",
    ]
    for (model, rows), group in df.groupby(["model", "rows"], sort=False):
        by = group.pivot(index="seed", columns="way", values="seconds").mean()
        cells = f"{by['alone']:.1f} | {by['folds']:.1f} | {by['folds'] / by['alone']:.2f} | {by['apart']:.1f}"
        lines.append(f"| {model}, {rows:,} | {group['seed'].nunique()} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Make the runs asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", default=["minilm", "mpnet"], choices=["minilm", "mpnet"])
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    for model in args.models:
        for seed in range(args.rounds):
            for way in ("alone", "folds", "apart"):
                work = lambda: measure(way, model, args.rows, seed)  # noqa: B023, E731 - called at once
                once(RUNS, work, model=model, way=way, rows=args.rows, seed=seed)
    print(table())


if __name__ == "__main__":
    main()
