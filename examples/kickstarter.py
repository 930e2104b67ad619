"""How much will a campaign raise? Its text alone, in four buckets, beside two baselines. Three minutes on two cores.

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

SAMPLE = Path(__file__).parents[1] / "data" / "kickstarter_sample.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", default=SAMPLE)
    parser.add_argument("--text", action="append", help="a text column; may be given several times")
    parser.add_argument("--target", default="pledged", help="a numeric column")
    parser.add_argument("--bins", type=int, default=4)
    parser.add_argument("--rows", type=int, help="use that many rows only")
    parser.add_argument("--model", default="minilm", help="hub id, folder, or minilm, which needs no network")
    parser.add_argument("--out", default="ladder.png", help="the ladder's picture")
    args = parser.parse_args()
    text_col = args.text or ["name", "blurb"]

    df = pd.read_csv(args.csv)
    df = df.sample(min(args.rows or len(df), len(df)), random_state=42).reset_index(drop=True)
    df = kickbert.split(df, valid=0.15, test=0.15, label_col=args.target)
    learn = kickbert.learner_from_df(
        df, text_col=text_col, label_col=args.target, bins=args.bins, bin_format="$", valid="split", model=args.model
    )
    print(learn.groups.to_string(index=False), "\n")
    ladder = learn.fit_gradual()
    print("\n" + ladder.round(3).to_string(index=False), "\n")

    test = df[(df["split"] == "test") & df[args.target].notna()]
    names = np.array(learn.dls.target.names)
    truth = learn.dls.target.encode(test[args.target])
    train = df[(df["split"] == "train") & df[args.target].notna()]
    texts = [part[text_col].fillna("").astype(str).agg(" ".join, axis=1) for part in (train, test)]
    y = learn.dls.target.encode(train[args.target])
    tfidf = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=1000))
    models = {
        "majority class": np.full(len(test), np.bincount(y).argmax()),
        "TF-IDF + logistic regression": tfidf.fit(texts[0], y).predict(texts[1]),
        f"kickbert, {args.model}": pd.Index(names).get_indexer(learn.predict_df(test)["label"]),
    }
    print(f"On {len(test):,} test rows that nothing was fitted on:")
    for name, predicted in models.items():
        kappa = cohen_kappa_score(truth, predicted, weights="quadratic")
        macro = f1_score(truth, predicted, average="macro")
        print(f"  {name:30} accuracy {accuracy_score(truth, predicted):.3f}  macro-F1 {macro:.3f}  kappa {kappa:.3f}")
    kickbert.plot_ladder(ladder).savefig(args.out, dpi=150)
    print(f"The ladder is drawn in {args.out}")


if __name__ == "__main__":
    main()
