"""How much will a campaign raise? Predict one of four buckets from its text. Under a minute on two cores.

python examples/kickstarter.py
python examples/kickstarter.py --csv mine.csv --text title --text story --target amount --bins 5
"""

import argparse
from pathlib import Path

import pandas as pd

import kickbert

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--csv", default=Path(__file__).parents[1] / "data" / "kickstarter_sample.csv")
parser.add_argument("--text", action="append", help="a text column; repeat for several")
parser.add_argument("--target", default="pledged", help="a numeric column")
parser.add_argument("--bins", type=int, default=4)
parser.add_argument("--rows", type=int, help="use at most this many rows")
parser.add_argument("--model", default="minilm", help="hub id, folder, or minilm (no network)")
parser.add_argument("--out", default="ladder.png", help="image file for the plot of the phases")
args = parser.parse_args()

df = pd.read_csv(args.csv).dropna(subset=[args.target])
df = df.sample(min(args.rows or len(df), len(df)), random_state=42, ignore_index=True)
df = kickbert.split(df, valid=0.15, test=0.15, label_col=args.target)
learn = kickbert.learner_from_df(
    df,
    text_col=args.text or ["name", "blurb"],
    label_col=args.target,
    bins=args.bins,
    bin_format="$",
    valid="split",
    model=args.model,
)
print(learn.groups.to_string(index=False), "\n")
ladder = learn.fit_gradual()
print("\n" + ladder.round(4).to_string(index=False), "\n")

test = df[df["split"] == "test"]
scores = kickbert.evaluate(learn, test).scores.set_index("score").loc[["accuracy", "macro-F1", "quadratic kappa"]]
baselines = scores.columns.drop(["model", "low", "high"])
print(f"On {len(test):,} test rows not used in training:")
for name in [*baselines, "model"]:
    shown = f"kickbert, {Path(args.model).name}" if name == "model" else name
    print(f"  {shown:24}" + "  ".join(f"{score} {value:.3f}" for score, value in scores[name].items()))
kickbert.experiments.plot_ladder(ladder).savefig(args.out, dpi=150)
print(f"Plot of the phases: {args.out}")
