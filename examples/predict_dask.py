"""Predict a Dask DataFrame: `model.predict_df` in `map_partitions`. Under a minute on two cores.

python examples/predict_dask.py
"""

import argparse
import tempfile
from pathlib import Path

import dask.dataframe as dd
import pandas as pd

import kickbert


def train(df: pd.DataFrame, model: str) -> kickbert.Predictor:
    """Train and save a model in a folder that every machine of the cluster can read."""
    folder = Path(tempfile.mkdtemp())
    columns = {"label_col": "category", "valid": "split"}
    learn = kickbert.learner_from_df(df, **columns, model=model, path=folder)
    learn.fit_gradual()
    return kickbert.load(learn.save_artifact(folder / "k"))


def main() -> None:
    """Train on some rows and predict the others, partition by partition."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=900, help="use at most this many rows")
    parser.add_argument("--model", default="minilm", help="hub id, folder, or minilm (no network)")
    args = parser.parse_args()

    df = pd.read_csv(Path(__file__).parents[1] / "data" / "ecommerce_sample.csv").rename(columns={"label": "category"})
    df = kickbert.split(df.sample(min(args.rows, len(df)), random_state=42, ignore_index=True), label_col="category")
    test = df[df["split"] == "test"]
    model = train(df, args.model)

    # Dask sends only the name of the model's folder to its workers; each process opens it once.
    rows = dd.from_pandas(test, npartitions=2)
    predictions = rows.map_partitions(model.predict_df, meta=model.predict_df(test.head(1)))
    labeled = rows.join(predictions).compute(scheduler="processes", num_workers=2)

    alone = model.predict_df(test)
    same = (labeled["predicted_label"] == alone["predicted_label"]).mean()
    gap = (labeled["confidence"] - alone["confidence"]).abs().max()
    right = (labeled["predicted_label"] == labeled["category"]).mean()
    print(f"On {len(labeled):,} test rows: accuracy {right:.3f}")
    print(f"the same label as without Dask: {same:.3f}; confidence differs by at most {gap:.1e}")


if __name__ == "__main__":  # Dask's processes import this file
    main()
