"""Does a letter accept, postpone, or reject? Texts longer than max_length, read in windows. Four minutes on two cores.

python examples/long_documents.py
python examples/long_documents.py --csv mine.csv --text body --label kind --max-length 256
"""

import argparse
from pathlib import Path

import pandas as pd

import kickbert

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--csv", default=Path(__file__).parents[1] / "data" / "letters_sample.csv")
parser.add_argument("--text", default="text")
parser.add_argument("--label", default="label")
parser.add_argument("--max-length", type=int, default=128, help="maximum tokens per window")
parser.add_argument("--rows", type=int, help="use at most this many rows")
parser.add_argument("--model", default="minilm", help="hub id, folder, or minilm (no network)")
args = parser.parse_args()

df = pd.read_csv(args.csv)
df = df.sample(min(args.rows or len(df), len(df)), random_state=42, ignore_index=True)
df = kickbert.split(df, label_col=args.label)
test = df[df["split"] == "test"]
columns = {"text_col": args.text, "label_col": args.label, "valid": "split", "model": args.model}
# The part of a long text that the model reads: its beginning, its end, some of both, or all of it in windows.
ways = {
    "the head": {"long": "truncate"},
    "the tail": {"long": "tail"},
    "head and tail": {"long": "head+tail"},
    "windows": {"long": "windows", "stride": args.max_length // 4},
}
accuracy = {}
for name, options in ways.items():
    print(f"\n{name}")
    learn = kickbert.learner_from_df(df, **columns, max_length=args.max_length, bs=16, **options)
    learn.fit_gradual()
    accuracy[name] = (learn.predict_df(test)["predicted_label"] == test[args.label]).mean()
print(f"\nAccuracy on {len(test):,} test rows not used in training:")
for name, share in accuracy.items():
    print(f"  {name:15} {share:.3f}")
