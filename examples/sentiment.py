"""Is a tweet negative, neutral, or positive? The steps of a fastai notebook as a script. Under a minute on two cores.

python examples/sentiment.py
python examples/sentiment.py --csv mine.csv --text tweet --label mood
"""

import argparse
from pathlib import Path

import pandas as pd
from fastai.interpret import ClassificationInterpretation

import kickbert

SAMPLE = Path(__file__).parents[1] / "data" / "tweets_sample.csv"

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

# Unfreeze manually: the head first, then the last four layers, with lower learning rates for deeper layers.
learn.freeze()
learn.fit_one_cycle(1, 2e-3)
learn.freeze_to(-5)
print(learn.groups.to_string(index=False))
n = len(learn.groups)
learn.fit_one_cycle(2, kickbert.Phase("last 4 layers", n - 5, 2, 4e-4, decay=0.9).rates(n))

interpretation = ClassificationInterpretation.from_learner(learn)
print("\nConfusion on the validation rows:")
classes = list(learn.dls.vocab)
print(pd.DataFrame(interpretation.confusion_matrix(), classes, classes).to_string())
print("\nThe worst mistakes:")
interpretation.plot_top_losses(5)
test = df[df["split"] == "test"]
right = learn.predict_df(test)["predicted_label"] == test[args.label]
print(f"\nAccuracy on {len(test):,} test rows not used in training: {right.mean():.3f}")
