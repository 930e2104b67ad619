"""A search of 20 trials compared with 20 separate fits of the same recipes, and its best recipe with the default.

    python benchmarks/search.py                 # minilm, 3,000 rows of Kickstarter, 20 trials, three seeds
    python benchmarks/search.py --rows 300 --trials 3 --seeds 1

"search" is `kickbert.search`, from the DataFrame to the result: its time includes fitting the default recipe and the
check on unused rows. "apart" trains every recipe of the search completely, each with its own cache.
"""

import argparse
import tempfile
import time
import warnings
from contextlib import redirect_stdout
from io import StringIO

import pandas as pd
from common.record import RECORDS, once, runs
from common.sets import load
from encoders import folder_of

import kickbert
from kickbert import Cache
from kickbert.experiments.search_space import SCHEDULE, recipe_at

RUNS = RECORDS / "search.jsonl"
COLUMNS = ("trial", "state", "score", "phases", "seconds")  # columns of the table of trials besides the searched ones


def measure(model: str, rows: int, trials: int, seed: int) -> dict:
    """Measure the seconds of the search and of the separate fits, the pruned trials, and the check."""
    df, _, _, columns = load("kickstarter", seed, rows)
    recipe = {"text_col": columns, "model": folder_of(model)}
    start = time.perf_counter()
    result = kickbert.search(df, trials=trials, budget="10 h", seed=seed, **recipe)
    took = time.perf_counter() - start
    points = result.trials.drop(columns=list(COLUMNS)).to_dict("records")
    apart = sum(fit(df, recipe_at(plain(point), recipe), seed) for point in points)
    check = result.check.set_index("recipe")
    score = result.check.columns[1]
    out = {"search s": took, "apart s": apart, "pruned": int((result.trials["state"] == "pruned").sum())}
    out |= {f"{score} {name}": check.loc[name, score] for name in check.index}
    return out | {"low": check.loc["difference", "low"], "high": check.loc["difference", "high"]}


def plain(point: dict) -> dict:
    """Restore a point of the search space from a table, in which integers and None are floats."""
    point = {name: None if value != value else value for name, value in point.items()}
    return point | {name: int(point[name]) for name in ("depth", "epochs") if name in point and name in SCHEDULE}


def fit(df: pd.DataFrame, recipe: dict, seed: int) -> float:
    """Measure the seconds to train a recipe separately, from the DataFrame, on as many rows as in a trial."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(StringIO()):
        rows = kickbert.split(df, valid=0.12, test=0.2, seed=seed)
        kickbert.learner_from_df(rows, **recipe, valid="split", seed=seed, cache=Cache(), path=scratch).fit_gradual()
    return time.perf_counter() - start


def table() -> str:
    """One row per seed in Markdown: seconds, their ratio, and the check with its interval."""
    lines = [
        "| rows, trials | seed | search, s | separate fits, s | ratio | pruned | default | best | difference |",
        "|---" * 9 + "|",
    ]
    for run in runs(RUNS):
        best, default, gain = (run[f"accuracy {name}"] for name in ("best", "default", "difference"))
        lines.append(
            f"| {run['rows']:,}, {run['trials']} | {run['seed']} | {run['search s']:.0f} | {run['apart s']:.0f} | "
            f"{run['search s'] / run['apart s']:.2f} | {run['pruned']} | {default:.3f} | {best:.3f} | "
            f"{gain:+.3f} ({run['low']:+.3f} to {run['high']:+.3f}) |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the benchmarks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="minilm", choices=["minilm", "mpnet"])
    parser.add_argument("--rows", type=int, default=3_000)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    for seed in range(args.seeds):
        work = lambda: measure(args.model, args.rows, args.trials, seed)  # noqa: B023, E731 - called immediately
        once(RUNS, work, model=args.model, rows=args.rows, trials=args.trials, seed=seed)
    print(table())


if __name__ == "__main__":
    main()
