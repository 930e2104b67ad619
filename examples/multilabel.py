"""Which topics is a message about? Several labels per row, each with a threshold. About a minute on two cores.

python examples/multilabel.py
python examples/multilabel.py --csv mine.csv --text message --labels topics --delim ";"
"""

import argparse
from pathlib import Path

import pandas as pd
from sklearn.metrics import classification_report

import kickbert

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--csv", default=Path(__file__).parents[1] / "data" / "tickets_sample.csv")
parser.add_argument("--text", default="text")
parser.add_argument("--labels", default="labels", help="a column of labels joined by --delim; empty for none")
parser.add_argument("--delim", default="|")
parser.add_argument("--rows", type=int, help="use at most this many rows")
parser.add_argument("--model", default="minilm", help="hub id, folder, or minilm (no network)")
args = parser.parse_args()

df = pd.read_csv(args.csv)
df[args.labels] = df[args.labels].fillna(args.delim)  # an empty cell: none of the labels
df = df.sample(min(args.rows or len(df), len(df)), random_state=42, ignore_index=True)
columns = {"label_col": args.labels, "label_delim": args.delim}
df = kickbert.split(df, **columns)  # stratified by every label
learn = kickbert.learner_from_df(df, text_col=args.text, **columns, valid="split", model=args.model)

# One sigmoid per label needs more steps than a softmax: train the head and the last four layers for more epochs.
learn.fit_gradual(kickbert.gradual_unfreezing(len(learn.groups), epochs=(3, 4), lr=(5e-3, 4e-4)))
print("\nThresholds, tuned on the validation rows:")
print(learn.tune_thresholds().round(2).to_string())

test = df[df["split"] == "test"]
predicted = learn.predict_df(test)
target = learn.dls.target
truth, decided = target.encode(test[args.labels]), target.encode(predicted["predicted_label"])
print(f"\nOn {len(test):,} test rows not used in training:")
print(classification_report(truth, decided, target_names=target.names, zero_division=0, digits=3))
for text, labels in zip(test[args.text].head(3), predicted["predicted_label"], strict=False):
    print(f"{', '.join(labels) or 'nothing'}: {text[:90]}")
