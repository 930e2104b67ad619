"""Train a small model on the predictions of a larger one, on unlabeled texts. Under two minutes on two cores.

python examples/distill.py
python examples/distill.py --csv mine.csv --text description --label category --layers 2
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

import kickbert

SAMPLE = Path(__file__).parents[1] / "data" / "ecommerce_sample.csv"

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--csv", default=SAMPLE)
parser.add_argument("--text", default="text")
parser.add_argument("--label", default="label")
parser.add_argument("--layers", type=int, default=3, help="layers of the student")
parser.add_argument("--rows", type=int, help="use at most this many rows")
parser.add_argument("--model", default="minilm", help="hub id, folder, or minilm (no network)")
args = parser.parse_args()

df = pd.read_csv(args.csv)
df = df.sample(min(args.rows or len(df), len(df)), random_state=42).reset_index(drop=True)
df = kickbert.split(df, label_col=args.label)
test, rest = df[df["split"] == "test"], df[df["split"] != "test"]
labeled = rest.sample(frac=0.5, random_state=42)

teacher = kickbert.learner_from_df(labeled, text_col=args.text, label_col=args.label, model=args.model)
teacher.fit_gradual()
print(f"\nThe student learns from {len(rest):,} texts, {len(rest) - len(labeled):,} of them unlabeled:")
student = kickbert.distill(teacher, rest[[args.text]], layers=args.layers)

rows, models = [], {}
with TemporaryDirectory() as home:
    for name, learn in {"teacher": teacher, "student": student}.items():
        folder = learn.save_artifact(Path(home) / name)
        models[name] = kickbert.load(folder, backend="torch")  # kickbert.export makes an int8 model: smaller and faster
        accuracy = kickbert.evaluate(models[name], test, rounds=2)["accuracy"]
        rows.append((name, learn.model.encoder.n_layers, accuracy, (folder / "model.safetensors").stat().st_size / 1e6))
texts, speed = test[args.text].tolist(), dict.fromkeys(models, 0.0)
for name in list(models) * 3:  # interleaved, best of three, in case another program is running
    measured = kickbert.inference.benchmark(models[name], texts, [32], seconds=1)
    speed[name] = max(speed[name], measured["texts per second"][0])
table = pd.DataFrame(rows, columns=["model", "layers", "accuracy", "MB"]).assign(**{"texts/s": speed.values()})
print(f"\nOn {len(test):,} test rows not used in training:")
print(table.round({"accuracy": 3, "MB": 1, "texts/s": 0}).to_string(index=False))
