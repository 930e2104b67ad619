"""How much will a campaign raise? Ordered buckets, plain classes, and a number compared. Two minutes on two cores.

python examples/kickstarter_ordinal.py
python examples/kickstarter_ordinal.py --csv mine.csv --text title --text story --target amount --bins 5
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, cohen_kappa_score

import kickbert

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--csv", default=Path(__file__).parents[1] / "data" / "kickstarter_sample.csv")
parser.add_argument("--text", action="append", help="a text column; repeat for several")
parser.add_argument("--target", default="pledged", help="a numeric column")
parser.add_argument("--bins", type=int, default=4)
parser.add_argument("--rows", type=int, help="use at most this many rows")
parser.add_argument("--model", default="minilm", help="hub id, folder, or minilm (no network)")
args = parser.parse_args()

df = pd.read_csv(args.csv).dropna(subset=[args.target])
df = df.sample(min(args.rows or len(df), len(df)), random_state=42, ignore_index=True)
df = kickbert.split(df, label_col=args.target)
test = df[df["split"] == "test"]
columns = {"text_col": args.text or ["name", "blurb"], "label_col": args.target, "valid": "split", "model": args.model}
tasks = {
    "ordinal": {"bins": args.bins, "bin_format": "$"},
    "single label": {"bins": args.bins, "bin_format": "$", "task": "single label"},
    "regression": {"task": "regression"},
}
rows = []
for task, options in tasks.items():
    learn = kickbert.learner_from_df(df, **columns, **options)
    learn.fit_gradual()
    predicted = learn.predict_df(test)
    if task == "ordinal":
        buckets = learn.dls.target
        print(f"\nThe first three predictions:\n{predicted.head(3).round(3).to_string()}\n")
    truth = buckets.encode(test[args.target])
    value = predicted["predicted_label"] if task == "regression" else predicted["expected"]
    codes = buckets.encode(value) if task == "regression" else buckets.encode_names(predicted["predicted_label"])
    distance = np.abs(codes - truth)
    rows.append(
        {
            "task": task,
            "accuracy": accuracy_score(truth, codes),
            "quadratic kappa": cohen_kappa_score(truth, codes, weights="quadratic"),
            "off by two or more": (distance > 1).mean(),
            "mean absolute error": (value - test[args.target]).abs().mean(),
        }
    )
print(f"\nOn {len(test):,} test rows not used in training:")
print(pd.DataFrame(rows).round(3).to_string(index=False))
