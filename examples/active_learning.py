"""How many labels does it take? Active learning compared with random rows. Under a minute on two cores.

python examples/active_learning.py --csv mine.csv --text description --label category

A column of known labels replaces the annotator. To label texts yourself: `kickbert label rows.csv --labels a,b,c`.
"""

import argparse
from pathlib import Path

import pandas as pd
from sklearn.preprocessing import normalize

import kickbert
from kickbert.labeling import EmbeddingClassifier, label_codes, query

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
df = kickbert.split(df, valid=0, test=0.25, label_col=args.label)
pool, test = (df[df["split"] == part] for part in ("train", "test"))
classes = sorted(df[args.label].astype(str).unique())
texts = pool[args.text].tolist()
parts = [(part[args.text].tolist(), part[args.label].astype(str).tolist()) for part in (pool, test)]
embeddings, test_embeddings = (normalize(kickbert.cache.embed(part_texts, args.model)) for part_texts, _ in parts)
codes, test_codes = (label_codes(labels, classes, "single label") for _, labels in parts)


def fit(rows: list[int]) -> EmbeddingClassifier:
    """Fit the classifier on these rows of the pool; the embeddings stay the same in every round."""
    return EmbeddingClassifier("single label", len(classes)).fit(embeddings[rows], codes[rows])


def accuracy(rows: list[int]) -> float:
    """Accuracy on the test rows after training on these rows of the pool."""
    return float((fit(rows).predict_proba(test_embeddings).argmax(1) == test_codes).mean())


curves = {}
for strategy in ("breaking_ties", "random"):
    chosen = query(None, texts, 20, embeddings=embeddings).tolist()  # one from each of 20 clusters
    labeled, curves[strategy] = [], {}
    while chosen and len(labeled) < 200:
        labeled += chosen
        curves[strategy][len(labeled)] = accuracy(labeled)
        probabilities = fit(labeled).predict_proba(embeddings)
        chosen = query(probabilities, texts, 20, strategy, labeled=labeled, seed=len(labeled)).tolist()

everything = accuracy(list(range(len(texts))))
print(f"Accuracy on {len(test):,} test rows: {everything:.3f} with all {len(texts):,} labels; with fewer labels:")
print(pd.DataFrame(curves).rename_axis("labels").round(3).to_string())
