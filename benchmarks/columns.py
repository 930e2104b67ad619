"""Columns beside the text, on Kickstarter: kickbert with text alone and with all columns, and skrub on everything.

    pip install skrub
    python benchmarks/columns.py                    # continues where it stopped
    python benchmarks/columns.py --rows 4500 --seeds 1 --methods "kickbert fast" skrub

Amount raised in four buckets of equal size (edges from the training rows); name and blurb are text, category and
subcategory categories, goal a number, launched a date. All methods have the same training rows; skrub reads all columns
with `tabular_pipeline("classifier")`. "columns alone" are the trees that kickbert's model contains.
"""

import argparse
import tempfile
import time
import warnings

import numpy as np
import pandas as pd
from common.record import RECORDS, once, runs
from common.sets import load

import kickbert

RUNS = RECORDS / "columns.jsonl"
BESIDE = {"cat_names": ["category", "subcategory"], "cont_names": ["goal"], "date_names": ["launched"]}
READ = ["name", "blurb", "category", "subcategory", "goal", "launched"]
METHODS = {
    "kickbert, text alone": ("balanced", {}),
    "kickbert": ("balanced", BESIDE),
    "kickbert fast": ("fast", BESIDE),
}


def run(rows: int, method: str, seed: int) -> dict:
    """Train one method; return accuracies on validation and test rows, and seconds of training."""
    train, valid, test, text_col = load("kickstarter", seed, rows)
    train, valid, test = (part.assign(label=part["label"].astype(str)) for part in (train, valid, test))
    start = time.perf_counter()
    if method == "skrub":
        from skrub import tabular_pipeline

        model = tabular_pipeline("classifier").fit(train[READ], train["label"])
        seconds = time.perf_counter() - start
        return {"valid": model.score(valid[READ], valid["label"]), "test": model.score(test[READ], test["label"])} | {
            "seconds": seconds
        }
    preset, columns = METHODS[method]
    with tempfile.TemporaryDirectory() as scratch:
        learn = kickbert.learner_from_df(
            train, text_col=text_col, model="minilm", valid=[], seed=seed, path=scratch, max_length=256, **columns
        )
        learn.fit_gradual(preset)
        seconds = time.perf_counter() - start
        result: dict[str, float] = {"seconds": seconds}
        for part, df in (("valid", valid), ("test", test)):
            result[part] = float((learn.predict_df(df)["predicted_label"] == df["label"]).mean())
            if columns:
                alone = np.array(learn.target.names)[learn.columns.offsets(df).argmax(1)]
                result[f"{part}, columns alone"] = float((alone == df["label"]).mean())
    return result


def main() -> None:
    """Make the runs that are not recorded yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=int, default=[4_500, 12_800])
    parser.add_argument("--methods", nargs="+", default=["skrub", *METHODS], choices=["skrub", *METHODS])
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    for rows in args.rows:
        for seed in range(args.seeds):
            for method in args.methods:
                once(RUNS, lambda key=(rows, method, seed): run(*key), rows=rows, method=method, seed=seed)
    df = pd.DataFrame(runs(RUNS))
    table = df.groupby(["rows", "method"]).agg("mean").drop(columns="seed")
    table["seeds"] = df.groupby(["rows", "method"]).size()
    print(table.round(4).to_string())


if __name__ == "__main__":
    main()
