"""Accuracy by the number of training rows: kickbert's presets, and linear models on words and on frozen embeddings.

    python benchmarks/table_sizes.py                  # hours; continues where it stopped
    python benchmarks/table_sizes.py --sets sst2 tweets --rows 100 400 --seeds 1 --methods default closed tfidf

minilm. "default" is what `kickbert train` does: `fit_few` up to its limit, then the balanced preset. Each method has
the same training and validation rows. Choices are made on validation rows; the methods that were compared for a choice
("from closed", "from shrunk", "160 steps", "320 steps") never see the test rows.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from common.peers import fit_tfidf
from common.record import RECORDS, once, runs
from common.sets import joined, study_parts
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kickbert
from kickbert.cache.embeddings import embed
from kickbert.training.fitting import fit_default

RUNS = RECORDS / "table_sizes.jsonl"
SETS = ("sst2", "tweets", "kickstarter", "ag_news", "wine", "topics10", "emotions10", "huffpost")
ROWS = (100, 200, 400, 800, 1_600, 3_200, 10_000)
MAX_VALID, MAX_TEST = 600, 1_500
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 1.0)  # inverse regularization of the logistic regression


def started_from(head: str, steps: int = 80) -> Callable[[Any], Any]:
    """Train the balanced preset with another start of the head, or other numbers of steps."""

    def fit(learn: Any) -> None:
        first, last = learn.phases("balanced")
        epochs = max(2, -(-steps // len(learn.dls.train)))
        learn.fit_gradual([first, replace(last, head=head, epochs=epochs)])

    return fit


CHOICES = ("from closed", "from shrunk", "160 steps", "320 steps")
LEARNERS: dict[str, Callable[[Any], Any]] = {
    "default": fit_default,
    "few": lambda learn: learn.fit_few(),
    "balanced": lambda learn: learn.fit_gradual("balanced"),
    "fast": lambda learn: learn.fit_gradual("fast"),
    "closed": lambda learn: learn.fit_gradual(learn.phases("balanced")[:1]),
    "from closed": started_from("kept"),
    "from shrunk": started_from("shrunk"),
    "160 steps": started_from("shrunk", 160),
    "320 steps": started_from("shrunk", 320),
}


def linear(name: str, train: pd.DataFrame, valid: pd.DataFrame, columns: list[str], seed: int) -> Callable:
    """Train TF-IDF or frozen embeddings with a logistic regression that is chosen on the validation rows."""
    rows = [(joined(part, columns), part["label"].to_numpy()) for part in (train, valid)]
    if name == "tfidf":
        predict = fit_tfidf(*rows, folder=None, seed=seed)
        return lambda df: predict(joined(df, columns))
    x, x_valid = (embed(texts) for texts, _ in rows)
    models = [make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=500)) for c in STRENGTHS]
    best = max(models, key=lambda model: model.fit(x, rows[0][1]).score(x_valid, rows[1][1]))
    return lambda df: best.predict(embed(joined(df, columns)))


def tuned(learn: Any, method: str) -> Callable:
    """Train a learner and return a function from rows to classes."""
    LEARNERS[method](learn)
    return lambda df: learn.predict_df(df)["predicted_label"].to_numpy()


def run(name: str, rows: int, method: str, seed: int) -> dict:
    """Train one method on one draw of rows; return accuracies and seconds of training."""
    train, valid, test, columns = study_parts(name, seed, rows)
    train, valid, test = (part.astype({"label": str}) for part in (train, valid.head(MAX_VALID), test.head(MAX_TEST)))
    valid, test = (part[part["label"].isin(train["label"])] for part in (valid, test))
    start = time.perf_counter()
    if method in LEARNERS:
        df = train.reset_index(drop=True)  # validating 600 rows after each of 27 epochs would take most of the time
        with tempfile.TemporaryDirectory() as scratch:
            learn = kickbert.learner_from_df(
                df,
                text_col=columns,
                model="minilm",
                valid=[],
                seed=seed,
                path=scratch,
                max_length=256,
            )
            predict = tuned(learn, method)
    else:
        predict = linear(method, train, valid, columns, seed)
    seconds = time.perf_counter() - start
    parts = {"valid": valid} if method in CHOICES else {"valid": valid, "test": test}
    scores = {part: float((predict(df) == df["label"]).mean()) for part, df in parts.items()}
    return scores | {"seconds": seconds, "trained on": len(train)}


def table(df: pd.DataFrame, part: str) -> str:
    """Mean accuracy of each method by set and rows, in percent, with Markdown."""
    means = (100 * df.pivot_table(index=["rows", "set"], columns="method", values=part)).round(1)
    lines = ["| rows | set | " + " | ".join(means.columns) + " |", "|---" * (len(means.columns) + 2) + "|"]
    for (rows, name), values in means.iterrows():
        cells = ["" if np.isnan(v) else f"{v:.1f}" for v in values]
        lines.append(f"| {rows:,} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Make the runs that are not recorded yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--rows", nargs="+", type=int, default=ROWS)
    methods = [*LEARNERS, "tfidf", "logistic"]
    parser.add_argument("--methods", nargs="+", default=["default", "fast", "tfidf", "logistic"], choices=methods)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    for seed in range(args.seeds):
        for rows in args.rows:
            for name in args.sets:
                for method in args.methods:
                    key = {"set": name, "rows": rows, "method": method, "seed": seed}
                    once(RUNS, lambda key=key: run(key["set"], key["rows"], key["method"], key["seed"]), **key)
    for part in ("valid", "test"):
        print(f"\n{part}\n\n{table(pd.DataFrame(runs(RUNS)), part)}")


if __name__ == "__main__":
    main()
