"""Cross-validation, label errors, calibration, and the cost of an evaluation.

    python benchmarks/trust.py                       # three seeds; continues where it stopped
    python benchmarks/trust.py --parts labels --seeds 1

*folds*: five folds of 5,000 Kickstarter rows by `cross_validate`, and five separate fits, interleaved.
*labels*: 5% of 2,000 labels are changed; precision and recall of the flagged rows, by out-of-fold probabilities of a
linear model on TF-IDF and, for ag_news, of minilm.
*calibration*: the calibration error on test rows before and after `calibrate`, which sees the validation rows only.
*judging*: time and memory of `evaluate` and `report` by number of rows, each in its own process.
"""

import argparse
import json
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from common.record import RECORDS, Parts, alone, measure
from common.sets import load
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

import kickbert
from kickbert.cache.storage import Cache
from kickbert.evaluation.error_analysis import label_errors
from kickbert.inference.benchmarking import peak_memory
from kickbert.targets.label_noise import suspected_errors

RUNS = RECORDS / "trust.jsonl"
FOLDS, WRONG = 5, 0.05
MODEL = {"model": "minilm", "path": tempfile.gettempdir()}


def folds(seed: int) -> dict:
    """Seconds of five folds in one call, and of five separate fits, each with its own cache, in alternating order."""
    df, _, _, columns = load("kickstarter", seed, 5_000)

    def together() -> float:
        validation = kickbert.cross_validate(df, text_col=columns, folds=FOLDS, seed=seed, **MODEL)
        return validation.folds["accuracy"].mean()

    def apart() -> float:
        right = []
        for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(df, df["label"]):
            own = {"valid": 0.1, "seed": seed, "cache": Cache()}  # the default one would be shared
            learn = kickbert.learner_from_df(df.iloc[train], text_col=columns, **own, **MODEL)
            learn.fit_gradual()
            right.append((learn.predict_df(df.iloc[test])["predicted_label"] == df["label"].iloc[test]).mean())
        return np.mean(right)

    ways, result = {"together": together, "apart": apart}, {}
    for way in sorted(ways, reverse=seed % 2 == 0):
        start = time.perf_counter()
        result[f"accuracy {way}"] = ways[way]()
        result[way] = time.perf_counter() - start
    return {"together": result["together"], "apart": result["apart"], "ratio": result["apart"] / result["together"],
            "accuracy": result["accuracy together"], "by hand": result["accuracy apart"]}  # fmt: skip


def labels(seed: int, name: str, model: str) -> dict:
    """Precision and recall of the flagged rows, and precision at recall 0.5."""
    df, _, _, columns = load(name, seed, 2_000)
    rng, noisy = np.random.default_rng(seed), df["label"].copy()
    wrong = rng.choice(len(df), int(WRONG * len(df)), replace=False)
    classes = sorted(df["label"].unique())
    for row in wrong:
        noisy[row] = rng.choice([c for c in classes if c != df["label"][row]])
    if model == "minilm":
        validation = kickbert.cross_validate(df.assign(label=noisy), text_col=columns, folds=FOLDS, seed=seed, **MODEL)
        flagged = label_errors(validation.predictions)["row"].to_numpy()
    else:
        codes = pd.Categorical(noisy).codes.astype(int)
        linear = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, max_iter=1_000))
        texts = df[columns].fillna("").agg(" ".join, axis=1)
        flagged = suspected_errors(cross_val_predict(linear, texts, codes, cv=FOLDS, method="predict_proba"), codes)
    hits = np.isin(flagged, wrong).cumsum()
    half = int((hits >= len(wrong) / 2).argmax())
    at_half = hits[half] / (half + 1) if hits[-1] >= len(wrong) / 2 else np.nan
    return {"flagged": len(flagged), "precision": hits[-1] / len(flagged), "recall": hits[-1] / len(wrong),
            "precision at half": at_half}  # fmt: skip


def calibration(seed: int, name: str) -> dict:
    """Calibration error and log loss on test rows, before and after."""
    train, valid, test, columns = load(name, seed)
    df = pd.concat([train.assign(split="train"), valid.assign(split="valid")], ignore_index=True)
    learn = kickbert.learner_from_df(df, text_col=columns, valid="split", seed=seed, **MODEL)
    learn.fit_gradual(calibrate=False)
    before = kickbert.evaluate(learn, test, compare=False, rounds=2)
    done = kickbert.calibrate(learn)
    after = kickbert.evaluate(learn, test, compare=False, rounds=2)
    scores = {"calibration error": "expected calibration error", "log loss": "log loss"}
    record = {f"{name} {when}": evaluation[score] for name, score in scores.items()
              for when, evaluation in (("before", before), ("after", after))}  # fmt: skip
    return record | {"temperature": done.temperature}


def judging(seed: int, rows: int) -> dict:
    """Seconds and memory of `evaluate` and `report` on this many rows, in this process."""
    train, _, _, columns = load("kickstarter", seed, 12_000)
    learn = kickbert.learner_from_df(train[:2_000], text_col=columns, seed=seed, **MODEL)
    ladder, judged = learn.fit_gradual(), train[2_000 : 2_000 + rows]
    held, start = peak_memory(), time.perf_counter()
    kickbert.evaluate(learn, judged)
    evaluated = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        file = kickbert.report(learn, Path(folder) / "report.html", judged, ladder=ladder)
        size = file.stat().st_size
    reported = time.perf_counter() - start - evaluated
    return {"evaluate": evaluated, "report": reported, "before MB": held / 1e6, "peak MB": peak_memory() / 1e6,
            "page MB": size / 1e6}  # fmt: skip


PARTS: Parts = {
    "folds": [({}, folds)],
    "labels": [
        *(({"name": name, "model": "TF-IDF"}, labels) for name in ("ag_news", "huffpost", "sst2")),
        ({"name": "ag_news", "model": "minilm"}, labels),
    ],
    "calibration": [({"name": name}, calibration) for name in ("kickstarter", "sst2")],
    "judging": [
        ({"rows": rows}, lambda **how: alone(__file__, "--judge", json.dumps(how))) for rows in (2_500, 10_000)
    ],
}


def main() -> None:
    """Make the runs asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--judge", help="used by the benchmark itself")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    if args.judge:
        print(json.dumps(judging(**json.loads(args.judge))))
        return
    measure(RUNS, PARTS, args.parts, args.seeds)


if __name__ == "__main__":
    main()
