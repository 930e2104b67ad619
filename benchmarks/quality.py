"""Accuracy on real data: kickbert's default against TF-IDF and Hugging Face's Trainer, means over seeds.

    python benchmarks/quality.py        # everything: hours on a laptop; it goes on where it was stopped
    python benchmarks/quality.py --sets sst2 --models tfidf kickbert --seeds 1

Each run is a line in `quality.jsonl`; runs that are there already are not made again. Test rows are only ever
predicted: the Trainer's learning rate is chosen on the validation rows of a seed that is not reported.
"""

import argparse
import tempfile
import time

import numpy as np
import pandas as pd
from common.answers import Answers
from common.record import RECORDS, once, runs
from common.sets import ROWS, joined, load
from sklearn.metrics import accuracy_score, f1_score

RUNS = RECORDS / "quality.jsonl"
RATES = (5e-5, 2e-4, 5e-4)  # the Trainer's documented rate, and upwards


def run_tfidf(parts: list[pd.DataFrame], columns: list[str], seed: int) -> dict:
    """TF-IDF and logistic regression."""
    from common.peers import tfidf

    train, valid, test = [(joined(part, columns), part["label"].to_numpy()) for part in parts]
    start = time.perf_counter()
    predicted = tfidf(train, valid, test[0])
    return _scores(test[1], predicted, time.perf_counter() - start)


def run_trainer(parts: list[pd.DataFrame], columns: list[str], seed: int, lr: float) -> dict:
    """Hugging Face's Trainer: everything trains for three epochs, in bf16, grouped by length."""
    from common.peers import hf_trainer

    classes = np.unique(parts[0]["label"])
    coded = [(joined(part, columns), np.searchsorted(classes, part["label"])) for part in parts]
    (valid, test), seconds = hf_trainer(coded[0], coded[1:], lr=lr, seed=seed)
    return _scores(*test, seconds) | {"lr": lr, "valid_accuracy": accuracy_score(*valid)}


def run_kickbert(parts: list[pd.DataFrame], columns: list[str], seed: int) -> dict:
    """kickbert with all its defaults; the test accuracy after each phase goes along, and nothing is chosen by it."""
    import kickbert

    train, valid, test = parts
    df = pd.concat([train.assign(split="train"), valid.assign(split="valid")], ignore_index=True)
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        learn = kickbert.learner_from_df(df, text_col=columns, model="minilm", valid="split", seed=seed, path=scratch)
        rungs = Answers(learn, test)
        ladder = learn.fit_gradual(cbs=[rungs])
        seconds = time.perf_counter() - start
    truth = learn.dls.target.encode(test["label"])
    steps = {name: accuracy_score(truth, given) for name, given in zip(ladder["phase"], rungs.given, strict=True)}
    told = {"ladder": steps, "valid_accuracy": ladder["accuracy"].iloc[-1]}
    return _scores(truth, rungs.given[-1], seconds) | told


def _scores(truth: pd.Series, predicted: np.ndarray, seconds: float) -> dict:
    return {
        "accuracy": accuracy_score(truth, predicted),
        "macro_f1": f1_score(truth, predicted, average="macro"),
        "seconds": seconds,
    }


def best_rate(name: str) -> float:
    """The Trainer's rate with the best validation accuracy, on rows drawn with a seed of their own."""
    *parts, columns = load(name, seed=100, rows=4_000)
    found = {}
    for lr in RATES:
        run = once(RUNS, lambda lr=lr: run_trainer(parts, columns, 100, lr), set=name, model=f"grid {lr:g}", seed=100)
        found[lr] = run["valid_accuracy"]
        if found[lr] < max(found.values()):
            break  # past the best
    return max(found, key=found.get)


def table() -> str:
    """Means and spreads (standard deviation over seeds) as a Markdown table."""
    df = pd.DataFrame([row for row in runs(RUNS) if not row["model"].startswith("grid")])
    df = df.sort_values(["set", "model", "seed"])
    lines = ["| set | model | seeds | accuracy | macro-F1 |", "|---|---|---|---|---|"]
    for (name, model), rows in df.groupby(["set", "model"], sort=False):
        told = [f"{100 * rows[c].mean():.1f} ± {100 * rows[c].std():.1f}" for c in ("accuracy", "macro_f1")]
        lines.append(f"| {name} | {model} | {len(rows)} | {told[0]} | {told[1]} |")
    lines += ["", "| set | phase | test accuracy |", "|---|---|---|"]
    for name, rows in df[df["model"] == "kickbert"].groupby("set", sort=False):
        ladder = pd.DataFrame(rows["ladder"].tolist())
        lines += [f"| {name} | {p} | {100 * ladder[p].mean():.1f} ± {100 * ladder[p].std():.1f} |" for p in ladder]
    return "\n".join(lines)


def main() -> None:
    """Make the runs asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--models", nargs="+", default=["tfidf", "kickbert", "trainer"])
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    for name in args.sets:
        rate = best_rate(name) if "trainer" in args.models else None
        for seed in range(args.seeds):
            *parts, columns = load(name, seed)
            works = {
                "tfidf": lambda parts=parts, columns=columns, seed=seed: run_tfidf(parts, columns, seed),
                "kickbert": lambda parts=parts, columns=columns, seed=seed: run_kickbert(parts, columns, seed),
                "trainer": lambda parts=parts, columns=columns, seed=seed, lr=rate: run_trainer(
                    parts, columns, seed, lr
                ),
            }
            for model in args.models:
                once(RUNS, works[model], set=name, model=model, seed=seed)
    print(table())


if __name__ == "__main__":
    main()
