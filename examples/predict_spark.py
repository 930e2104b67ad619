"""Predict a Spark DataFrame: `model.predict_df` in `mapInPandas`. A minute on two cores; needs Java 17.

python examples/predict_spark.py
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import pandas as pd
from pyspark.sql import SparkSession

import kickbert

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--rows", type=int, default=900, help="use at most this many rows")
parser.add_argument("--model", default="minilm", help="hub id, folder, or minilm (no network)")
args = parser.parse_args()

df = pd.read_csv(Path(__file__).parents[1] / "data" / "ecommerce_sample.csv").rename(columns={"label": "category"})
df = kickbert.split(df.sample(min(args.rows, len(df)), random_state=42, ignore_index=True), label_col="category")
test = df[df["split"] == "test"].reset_index(names="id")
folder = Path(tempfile.mkdtemp())
columns = {"label_col": "category", "valid": "split"}
learn = kickbert.learner_from_df(df, **columns, model=args.model, path=folder)
learn.fit_gradual()
model = kickbert.load(learn.save_artifact(folder / "k"))  # every machine of the cluster must be able to read it


def predict(rows: pd.DataFrame) -> pd.DataFrame:
    """Predict rows and keep their ids, because Spark does not preserve order."""
    return pd.concat([rows[["id", "category"]], model.predict_df(rows)], axis=1)


os.environ["PYSPARK_PYTHON"] = sys.executable
spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
# Spark sends only the name of the model's folder to its workers; each process opens it once.
schema = spark.createDataFrame(predict(test.head(1))).schema
rows = spark.createDataFrame(test[["id", "text", "category"]]).repartition(2)
labeled = rows.mapInPandas(lambda frames: map(predict, frames), schema).toPandas().set_index("id").sort_index()
spark.stop()

alone = model.predict_df(test.set_index("id"))
same = (labeled["predicted_label"] == alone["predicted_label"]).mean()
gap = (labeled["confidence"] - alone["confidence"]).abs().max()
right = (labeled["predicted_label"] == labeled["category"]).mean()
print(f"On {len(labeled):,} test rows: accuracy {right:.3f}")
print(f"the same label as without Spark: {same:.3f}; confidence differs by at most {gap:.1e}")
