"""How much will a campaign raise? Its text alone, in four buckets, beside two baselines. Under a minute on two cores.

python examples/kickstarter.py
python examples/kickstarter.py --csv mine.csv --text title --text story --target amount --bins 5
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score
from sklearn.pipeline import make_pipeline

import kickbert

parser = argparse.ArgumentParser(description="Predict a campaign's bucket of money from its text.")
parser.add_argument("--csv", default=Path(__file__).parents[1] / "data" / "kickstarter_sample.csv")
parser.add_argument("--text", action="append", help="a text column; may be given several times")
parser.add_argument("--target", default="pledged", help="a numeric column")
parser.add_argument("--bins", type=int, default=4)
parser.add_argument("--rows", type=int, help="use that many rows only")
parser.add_argument("--model", default="minilm", help="hub id, folder, or minilm, which needs no network")
parser.add_argument("--out", default="ladder.png", help="where the ladder is drawn")
args = parser.parse_args()
text_col, target = args.text or ["name", "blurb"], args.target

df = pd.read_csv(args.csv).dropna(subset=[target])
df = df.sample(min(args.rows or len(df), len(df)), random_state=42, ignore_index=True)
df = kickbert.split(df, valid=0.15, test=0.15, label_col=target)
learn = kickbert.learner_from_df(
    df, text_col=text_col, label_col=target, bins=args.bins, bin_format="$", valid="split", model=args.model
)
print(learn.groups.to_string(index=False), "\n")
ladder = learn.fit_gradual()
print("\n" + ladder.round(4).to_string(index=False), "\n")

train, test = df[df["split"] == "train"], df[df["split"] == "test"]
joined = [part[text_col].fillna("").astype(str).agg(" ".join, axis=1) for part in (train, test)]
y, truth = (learn.dls.target.encode(part[target]) for part in (train, test))
tfidf = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=1000))
predictions = {
    "majority class": np.full(len(test), np.bincount(y).argmax()),
    "TF-IDF + logistic regression": tfidf.fit(joined[0], y).predict(joined[1]),
    f"kickbert, {Path(args.model).name}": pd.Index(learn.dls.target.names).get_indexer(learn.predict_df(test)["label"]),
}
print(f"On {len(test):,} test rows that no training touched:")
for name, predicted in predictions.items():
    kappa = cohen_kappa_score(truth, predicted, weights="quadratic")
    scores = (
        f"accuracy {accuracy_score(truth, predicted):.3f}  macro-F1 {f1_score(truth, predicted, average='macro'):.3f}"
    )
    print(f"  {name:30} {scores}  quadratic kappa {kappa:.3f}")
kickbert.experiments.plot_ladder(ladder).savefig(args.out, dpi=150)
print(f"The ladder is drawn in {args.out}")
