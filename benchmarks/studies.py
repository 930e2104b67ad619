"""Compare options for targets, classes, long texts, and augmentation; means over seeds.

    python benchmarks/studies.py                          # hours; continues where it stopped
    python benchmarks/studies.py --studies uneven --seeds 1

Each study has data sets and methods (arguments of `learner_from_df`); everything else is equal. minilm, with the
default schedule unless a study says otherwise. Each run has its own cache; thresholds are tuned on validation rows, and
test rows are only predicted. `seconds` and `cpu s` are those of the training.
"""

import argparse
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from common.record import RECORDS, once, runs
from common.scores import scores, svm
from common.sets import FOLDER, study_parts

import kickbert

RUNS = RECORDS / "studies.jsonl"


@dataclass
class Study:
    """A comparison.

    Args:
        sets: number of training rows by data set; None for all.
        ways: by name, arguments of `learner_from_df`, `phases` of `fit_gradual`, and a `schedule` that overrides
            the study's; None for TF-IDF and a linear SVM.
        common: arguments shared by all methods.
        schedule: arguments of `gradual_unfreezing`.
        shown: scores in the table.
        test_rows: maximum number of test rows; None for all.
    """

    sets: dict[str, int | None]
    ways: dict[str, dict[str, Any] | None]
    common: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    shown: tuple[str, ...] = ("accuracy", "macro_f1")
    test_rows: int | None = None


SEVERAL = {"epochs": (3, 4), "lr": (5e-3, 4e-4)}  # sigmoids need more steps than a softmax
BINS = {"label_col": "pledged", "bins": 4, "bin_format": "$"}
STUDIES = {
    "ordinal": Study(
        {"kickstarter": 12_800},
        {
            "ordinal": BINS,
            "classes": BINS | {"task": "single label"},
            "number, then bins": {"label_col": "pledged", "task": "regression"},
        },
        shown=("kappa", "mae", "mae of the bucket's median", "accuracy"),
    ),
    "several labels": Study(
        {"reuters": None, "goemotions": None},
        {"kickbert": {}, 'kickbert, "auto"': {"phases": "auto"}, "TF-IDF, linear SVM at its best": None},
        {"label_col": "labels", "label_delim": "|", "max_length": 256},
        SEVERAL,
        ("micro_f1", "macro_f1", "micro_f1 at 0.5", "macro_f1 at 0.5"),
    ),
    "uneven": Study(
        {"smile": None},
        {
            "plain": {},
            "balanced weights": {"class_weights": "balanced"},
            "focal": {"loss": "focal"},
            "balanced sampling": {"sampling": "balanced"},
        },
    ),
    "long": Study(
        {"imdb": 5_000},
        {
            "256 tokens": {"max_length": 256},
            "512 tokens": {"max_length": 512},
            "windows of 256": {"max_length": 256, "long": "windows", "stride": 64},
        },
    ),
    "augmentation": Study(
        {"sst2 200": 200, "sst2 1000": 1_000},
        {
            "none": {},
            "none, as many steps": {"schedule": {"epochs": (5, 10)}},  # variants make an epoch five times as long
            "EDA, 4 variants": {"augment": kickbert.text.EDA()},
        },
    ),
    "portable": Study(  # loadable by transformers' pipeline, against the default
        {"sst2": 3_000, "kickstarter": 3_000, "ag_news": 3_000},
        {"mean of the tokens": {}, "first token, portable": {"portable": True}},
    ),
}


def run(study: Study, name: str, way: str, seed: int) -> dict:
    """Train one method on one draw of rows; return scores on test rows and seconds of training."""
    train, valid, test, columns = study_parts(name.split()[0], seed, study.sets[name])
    if study.ways[way] is None:
        return svm(train, valid, test, columns, study.common["label_col"], study.common["label_delim"])
    test = test.head(study.test_rows or len(test))
    df = pd.concat([train.assign(split="train"), valid.assign(split="valid")], ignore_index=True)
    how = dict(study.ways[way])
    schedule, phases = study.schedule | how.pop("schedule", {}), how.pop("phases", None)
    with tempfile.TemporaryDirectory() as scratch:
        start, cpu = time.perf_counter(), time.process_time()
        how = study.common | {"cache": kickbert.Cache()} | how  # empty, not shared with earlier methods
        learn = kickbert.learner_from_df(
            df, text_col=columns, model="minilm", valid="split", seed=seed, path=scratch, schedule=schedule, **how
        )
        ladder = learn.fit_gradual(phases or kickbert.gradual_unfreezing(len(learn.groups), **schedule))
        clocks = {"seconds": time.perf_counter() - start, "cpu s": time.process_time() - cpu}
        result = {f"valid {score}": float(ladder[score].iloc[-1]) for score in ("accuracy",) if score in ladder}
        result |= scores(learn, test, train)
    return result | clocks


def table(name: str) -> str:
    """A study's means and standard deviations over seeds, in Markdown."""
    study, df = STUDIES[name], pd.DataFrame([row for row in runs(RUNS) if row["study"] == name])
    lines = ["| set | way | seeds | " + " | ".join(study.shown) + " |", "|---" * (3 + len(study.shown)) + "|"]
    for where in study.sets:
        for way in study.ways:
            group = df[(df["set"] == where) & (df["way"] == way)]
            cells = [_cell(group.get(score)) for score in study.shown]
            lines.append(f"| {where} | {way} | {len(group)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: pd.Series | None) -> str:
    if values is None or values.isna().all():
        return ""
    mean, spread = values.mean(), values.std() if len(values) > 1 else 0.0
    return f"{mean:,.0f} ± {spread:,.0f}" if abs(mean) > 10 else f"{mean:.3f} ± {spread:.3f}"


def main() -> None:
    """Make the runs asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    sets = sorted({name for study in STUDIES.values() for name in study.sets})
    parser.add_argument("--sets", nargs="+", default=sets, choices=sets)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    for name in args.studies:
        study = STUDIES[name]
        for seed in range(args.seeds):
            for where in [s for s in study.sets if s in args.sets]:
                if not (file := FOLDER / f"{where.split()[0]}.csv.gz").exists():
                    print(f"{name}: skipping {where}, {file} not found; data/README.md says where to get it")
                    continue
                for way in study.ways:
                    work = lambda: run(study, where, way, seed)  # noqa: B023, E731 - called at once
                    once(RUNS, work, study=name, set=where, way=way, seed=seed)
        print(f"\n{name}\n\n{table(name)}")


if __name__ == "__main__":
    main()
