"""Labels needed for 95% of the full accuracy, and the time of a labeling round on a large pool.

    python benchmarks/labeling.py --seeds 4              # all parts; minilm
    python benchmarks/labeling.py --part round --seeds 1

"labels": the head on sentence embeddings is fitted after each batch (10 labels, or a tenth of the current ones) and
scored on test rows, until it has 95% of its accuracy with all labels. A strategy chooses the rows; "random" starts with
random rows, the others with one row from each of 20 clusters.

small-text (`--strategies small-text`, 1.4 or later) runs with the same encoder and head.

"round": seconds to fit, score a pool of 20,000 rows, and choose from it after 500 labels; and the page's waiting time
for the next text during this (one label written, three texts leased, 200 times).

"kills": 200 labels over HTTP to `kickbert label`, which is killed (SIGKILL) three times while it writes one.
"""

import argparse
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
from common.record import RECORDS, measure
from common.sets import load
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from kickbert.cache.embeddings import embed
from kickbert.labeling.classes import ClassList, add_classes
from kickbert.labeling.classifier import C, EmbeddingClassifier, label_codes
from kickbert.labeling.database import LabelDatabase
from kickbert.labeling.session import LabelingSession
from kickbert.labeling.strategies import query
from kickbert.labeling.tables import read as read_labels
from kickbert.targets.labels import Labels
from kickbert.text.tokenization import join_columns

RUNS = RECORDS / "labeling.jsonl"
NEAR, FIRST, LEAST = 0.95, 20, 10  # share of the full accuracy; number of labels at the start and per batch
POOL, LABELED = 20_000, 500
KILLED = 200  # labels written while the server is killed three times
PARTS = ["labels", "round", "kills"]


@cache
def embedded(name: str, seed: int, rows: int | None = None) -> tuple:
    """Texts, normalized embeddings, and class numbers of the pool and of the test rows, and the class names."""
    train, _, test, columns = load(name, seed, rows)
    classes = sorted({*train["label"].astype(str), *test["label"].astype(str)})
    parts = []
    for df in (train, test):
        texts = join_columns(*(df[column].astype(str).tolist() for column in columns))
        codes = label_codes(df["label"].astype(str).tolist(), classes, Labels.task)
        parts.append((texts, normalize(embed(texts)), codes))
    return *parts, classes


def labels_needed(name: str, strategy: str, seed: int) -> dict:
    """Number of labels needed, the accuracy reached, and the time for choosing them."""
    if strategy == "small-text":
        return small_text_labels(name, seed)
    (texts, x, y), (_, test_x, test_y), classes = embedded(name, seed)
    fit = lambda rows: EmbeddingClassifier(Labels.task, len(classes)).fit(x[rows], y[rows])  # noqa: E731
    score = lambda model: float((model.predict_proba(test_x).argmax(1) == test_y).mean())  # noqa: E731
    best, rng = score(fit(np.arange(len(x)))), np.random.default_rng(seed)
    if strategy == "random":
        labeled = rng.permutation(len(x))[:FIRST].tolist()
    else:
        labeled = query(None, texts, FIRST, embeddings=x, seed=seed).tolist()
    choosing, chosen = 0.0, True
    while (accuracy := score(model := fit(labeled))) < NEAR * best and chosen:
        start, batch = time.perf_counter(), max(LEAST, len(labeled) // 10)
        how = {"labeled": labeled, "embeddings": x, "seed": seed * 10_000 + len(labeled)}
        chosen = query(model.predict_proba(x), texts, batch, strategy, **how).tolist()
        labeled += chosen
        choosing += time.perf_counter() - start
    return {"labels": len(labeled), "accuracy": accuracy, "with all": best, "seconds choosing": choosing}


def small_text_labels(name: str, seed: int) -> dict:
    """`labels_needed` with small-text's learner: breaking ties from random rows, the same head."""
    from small_text import BreakingTies, PoolBasedActiveLearner, SklearnClassifierFactory, SklearnDataset

    (_, x, y), (_, test_x, test_y), classes = embedded(name, seed)
    head = LogisticRegression(C=C, max_iter=200)
    score = lambda model: float((model.predict(test_x) == test_y).mean())  # noqa: E731
    best = score(clone(head).fit(x, y))
    learner = PoolBasedActiveLearner(
        SklearnClassifierFactory(head, len(classes)), BreakingTies(), SklearnDataset(x, y, target_labels=np.unique(y))
    )
    np.random.seed(seed)
    chosen = np.random.default_rng(seed).permutation(len(x))[:FIRST]
    learner.initialize_data(chosen, y[chosen])
    labels, choosing = FIRST, 0.0
    while (accuracy := score(learner.classifier.model)) < NEAR * best:
        start, batch = time.perf_counter(), max(LEAST, labels // 10)
        chosen = learner.query(num_samples=batch)
        choosing += time.perf_counter() - start
        learner.update(y[chosen])
        labels += batch
    return {"labels": labels, "accuracy": accuracy, "with all": best, "seconds choosing": choosing}


def one_round(name: str, seed: int) -> dict:
    """Seconds per round, and milliseconds until the page's next text during rounds."""
    (texts, x, y), _, classes = embedded(name, seed, POOL)
    vectors, names = dict(zip(texts, x, strict=True)), [classes[code] for code in y]
    truth = dict(zip(texts, names, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        database = LabelDatabase(Path(folder) / "labels.db", ["text"])
        database.add_rows([(text,) for text in texts])
        add_classes(ClassList(database), classes)
        rows = database.rows()
        database.append_known({row.id: truth[row.texts[0]] for row in rows[:LABELED]}, "bench", "random")
        session = LabelingSession(database, lambda part: np.stack([vectors[text] for text in part]))
        while session.model.step():
            pass
        seconds, waits = session.model.fit.seconds, []
        session.model.start()
        item = session.next("bench")[0]
        for _ in range(200):
            start = time.perf_counter()
            session.label(item["row"], truth[item["texts"][0]], "bench")
            item = session.next("bench")[0]
            waits.append(1000 * (time.perf_counter() - start))
            time.sleep(0.1)
        session.model.stop()
        database.close()
    p50, p99 = np.quantile(waits, [0.5, 0.99])
    return {"seconds": seconds, "next text p50 ms": p50, "next text p99 ms": p99}


class Page:
    """`kickbert label` in a process of its own, with a client that behaves like the page.

    Args:
        arguments: command arguments except the port.
    """

    def __init__(self, *arguments: str | Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        code = "from kickbert.cli.commands import main; main()"
        self.call = [sys.executable, "-c", code, "label", *map(str, arguments), "--port", str(self.port)]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api", timeout=30)
        self.start()

    def start(self) -> None:
        """Start it and wait until it responds."""
        self.process = subprocess.Popen(self.call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                return self.client.get("/progress").raise_for_status()
            except httpx.TransportError:
                if self.process.poll() is not None:
                    raise RuntimeError("the page does not start") from None
                time.sleep(0.1)

    def send(self, path: str, kill: bool = False, **body: Any) -> Any:
        """Send a request until it gets a response; the server may be killed (SIGKILL) during the first."""
        body = {"browser": "bench", "who": "bench", **body}
        if kill:
            threading.Timer(0.002, self.process.kill).start()
        for _ in range(5):
            try:
                return self.client.post(path, json=body).raise_for_status().json()
            except httpx.TransportError:
                self.process.wait()
                self.start()
        raise RuntimeError(f"no answer to {path}")


def labels_and_kills(name: str, seed: int) -> dict:
    """Label rows over HTTP while the server is killed three times; compare the file with the labels sent."""
    train, _, _, columns = load(name, seed, 2 * KILLED)
    texts = join_columns(*(train[column].astype(str).tolist() for column in columns))
    truth = dict(zip(texts, train["label"].astype(str), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        table, database = Path(folder) / "rows.csv", Path(folder) / "labels.db"
        pd.DataFrame({"text": list(truth)}).to_csv(table, index=False)
        page = Page(table, "--out", database, "--labels", ",".join(sorted(set(truth.values()))))
        try:
            for i in range(KILLED):
                item = page.send("/next")[0]
                label, kill = truth[item["texts"][0]], i % (KILLED // 4) == KILLED // 8 and i < 3 * KILLED // 4
                page.send("/labels", kill, row=item["row"], label=label, request=f"label {i}")
        finally:
            page.process.kill()
            page.process.wait()
        present, history = read_labels(database), read_labels(database, history=True)
    wrong = int((present["label"] != present["text"].map(truth)).sum())
    doubled = len(history) - len(present)
    return {"labels": len(present), "lost": KILLED - len(present), "doubled": doubled, "wrong": wrong}


def main() -> None:
    """Make the runs asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--sets", nargs="*", default=["ag_news", "huffpost"])
    parser.add_argument("--strategies", nargs="*", default=["random", "breaking_ties"])
    parser.add_argument("--seeds", type=int, default=4)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    parts = {part: [] for part in PARTS}
    for name in args.sets:
        for strategy in args.strategies:
            work = lambda seed, name, of=name, by=strategy: labels_needed(of, by, seed)  # noqa: E731
            parts["labels"].append(({"name": f"{name}, {strategy}"}, work))
    parts["round"].append(({"name": "ag_news"}, lambda seed, name: one_round(name, seed)))
    parts["kills"].append(({"name": "ag_news"}, lambda seed, name: labels_and_kills(name, seed)))
    measure(RUNS, parts, args.part, args.seeds)


if __name__ == "__main__":
    main()
