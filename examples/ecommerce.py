"""Which of four departments does a product belong to? Under a minute on two cores.

python examples/ecommerce.py
python examples/ecommerce.py --csv mine.csv --text description --label category
"""

import argparse
from pathlib import Path
from textwrap import shorten

import pandas as pd
from sklearn.metrics import classification_report

import kickbert

SAMPLE = Path(__file__).parents[1] / "data" / "ecommerce_sample.csv"

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--csv", default=SAMPLE)
parser.add_argument("--text", default="text")
parser.add_argument("--label", default="label")
parser.add_argument("--rows", type=int, help="use at most this many rows")
parser.add_argument("--model", default="minilm", help="hub id, folder, or minilm (no network)")
args = parser.parse_args()

df = pd.read_csv(args.csv)
df = df.sample(min(args.rows or len(df), len(df)), random_state=42).reset_index(drop=True)
df = kickbert.split(df, label_col=args.label)
learn = kickbert.learner_from_df(df, text_col=args.text, label_col=args.label, valid="split", model=args.model)
learn.show_batch(max_n=4)
ladder = learn.fit_gradual()
print("\n" + ladder.round(4).to_string(index=False), "\n")

test = df[df["split"] == "test"]
predicted = learn.predict_df(test)
print(f"On {len(test):,} test rows not used in training:")
print(classification_report(test[args.label].astype(str), predicted["predicted_label"].astype(str), zero_division=0))
confident = predicted.nlargest(3, "confidence").join(test[args.text])
print("The three most confident predictions:")
for row in confident.itertuples():
    print(f"  {row.predicted_label} ({row.confidence:.2f}): {shorten(getattr(row, args.text), 80)}")
