"""Speed of a saved model, and the accuracy of int8.

    python benchmarks/predicting.py                        # three seeds; continues where it stopped
    python benchmarks/predicting.py --parts latency --seeds 1

*throughput*: 10,000 sst2 sentences with the predictor and Hugging Face's pipeline, the same fine-tuned minilm,
interleaved: the pipeline as documented, and at its best batch size from a grid.
*usual*: the same with 3,000 sentences of 25 to 30 tokens.
*floor*: the rate of one quantized matrix product with the shape of the feed-forward layer, on all cores, and the texts
per second that this rate would allow.
*cost*: scores on the test rows of sst2 and Kickstarter by backend; int8 was accepted on the validation rows.
*latency*: one sentence of 30 tokens at a time, in process, after warmup.
*start*: seconds from the start of Python to the first prediction of an exported model, and to the predictor's import.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from common.record import RECORDS, Parts, run_parts
from common.sets import FOLDER, load

import kickbert
from kickbert.inference.backends.choice import BACKENDS
from kickbert.inference.backends.onnx_backend import OnnxBackend
from kickbert.inference.benchmarking import benchmark
from kickbert.models.artifact.reading import read_artifact

RUNS = RECORDS / "predicting.jsonl"
MODELS = Path(os.environ.get("KICKBERT_MODELS", Path(tempfile.gettempdir()) / "kickbert-models"))
SENTENCES, USUAL = 10_000, 3_000
BATCHES = (8, 16, 32, 64, 128)  # candidates for the pipeline, chosen on 1,000 other sentences
ROUNDS = 2


def saved(name: str, seed: int, **how) -> Path:
    """A fine-tuned, exported minilm, from the scratch folder if it exists."""
    home = MODELS / f"{name}-{seed}{'-'.join(map(str, how.values()))}"
    if (home / "latest").exists():
        return home / "v1"
    train, valid, _, columns = load(name, seed)
    df = pd.concat([train.assign(split="train"), valid.assign(split="valid")], ignore_index=True)
    learn = kickbert.learner_from_df(
        df, text_col=columns, model="minilm", valid="split", seed=seed, path=tempfile.mkdtemp(), **how
    )
    learn.fit_gradual()
    folder = learn.save_artifact(home)
    print(kickbert.export(folder, valid, ["onnx", *BACKENDS[:2]], force=True).to_string(), flush=True)
    return folder


def sentences(seed: int, count: int, usual: bool = False) -> tuple[list[str], list[str]]:
    """`count` sentences (`usual`: with 25 to 30 tokens), and 1,000 others to choose the batch size on."""
    df = pd.read_csv(FOLDER / "sst2.csv.gz")
    pool = df.loc[df["split"] == "train", "text"].drop_duplicates()
    if usual:
        tokens = read_artifact(saved("sst2", seed, pooling="cls")).token_encoder.count(pool.tolist())
        pool = pool[(tokens >= 25) & (tokens <= 30)]
    texts = pool.sample(count + 1_000, random_state=seed).tolist()
    return texts[:count], texts[count:]


def throughput(seed: int, usual: bool = False) -> dict:
    """Texts per second, mean of interleaved rounds."""
    from transformers import pipeline

    folder = saved("sst2", seed, pooling="cls")  # transformers' own head pools by the first token
    texts, others = sentences(seed, USUAL if usual else SENTENCES, usual)
    pipe = pipeline("text-classification", model=str(folder))
    batch = min(BATCHES, key=lambda size: _seconds(lambda: pipe(others, batch_size=size)))
    ways: dict[str, Callable[[], list]] = {
        "pipeline as documented": lambda: pipe(texts),
        "pipeline, best batch": lambda: pipe(texts, batch_size=batch),
    }
    for backend in BACKENDS[:-1]:
        model = kickbert.load(folder, backend=backend)
        model.predict(others)
        ways[backend] = lambda model=model: model.predict(texts)
    taken = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, run in ways.items():
            taken[way].append(_seconds(run))
    speed = {way: len(texts) / np.mean(seconds) for way, seconds in taken.items()}
    int8 = BACKENDS[:2]
    ratios = {f"{backend} / {way}": speed[backend] / speed[way] for backend in int8 for way in list(ways)[:2]}
    theirs = [answer["label"] for answer in pipe(others, batch_size=batch)]
    same = np.mean([a == str(b) for a, b in zip(theirs, kickbert.load(folder).predict(others), strict=True)])
    return speed | ratios | {"best batch": batch, "same label": same}


def _seconds(run: Callable[[], list]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def floor(seed: int) -> dict:
    """Texts per second if only the encoder's matrix products took time."""
    from onnx import TensorProto, helper, numpy_helper
    from onnxruntime.quantization import QuantType, quantize_dynamic

    rows, width, inner, layers = 512, 384, 1536, 6  # minilm's
    weight = numpy_helper.from_array(np.random.default_rng(0).normal(size=(width, inner)).astype(np.float32), "w")
    sides = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [rows, k]) for n, k in (("x", width), ("y", inner))]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", sides[:1], sides[1:], [weight])
    file = Path(tempfile.mkdtemp()) / "product.onnx"
    quantize_dynamic(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), file,
                     weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)  # fmt: skip
    backend = OnnxBackend(file, "onnx-int8")
    inputs = {"x": np.random.default_rng(1).normal(size=(rows, width)).astype(np.float32)}

    def many() -> None:
        for _ in range(200):
            backend.session.run(None, inputs)

    many()
    with ThreadPoolExecutor(backend.workers) as pool:
        taken = _seconds(lambda: list(pool.map(lambda _: many(), range(backend.workers))))
    rate = 2 * rows * width * inner * 200 * backend.workers / taken
    model = kickbert.load(saved("sst2", seed, pooling="cls"), backend="onnx-int8")
    tokens = model.token_encoder.count(sentences(seed, SENTENCES)[0]).mean()
    work = 2 * layers * (4 * width**2 + 2 * width * inner) * tokens
    return {"GFLOP/s": rate / 1e9, "tokens per text": tokens, "texts per second": rate / work}


def cost(seed: int, name: str) -> dict:
    """Accuracy on test rows by backend, in points."""
    folder, test = saved(name, seed), load(name, seed)[2]
    result = {}
    for backend in reversed(BACKENDS):
        evaluation = kickbert.evaluate(kickbert.load(folder, backend=backend), test, rounds=2)
        result[backend] = 100 * evaluation["accuracy"]
    return result | {f"lost by {backend}": result["torch"] - result[backend] for backend in BACKENDS[:2]}


def latency(seed: int) -> dict:
    """Milliseconds for a sentence of 30 tokens, by backend."""
    folder, result = saved("sst2", seed), {}
    for backend in BACKENDS:
        model = kickbert.load(folder, backend=backend)
        pool = load("sst2", seed)[0]["text"].tolist()
        texts = [t for t, n in zip(pool, model.token_encoder.count(pool), strict=True) if 29 <= n <= 31]
        row = benchmark(model, texts, [1], seconds=10).iloc[0]
        result |= {f"{backend} p50": row["median ms"], f"{backend} p99": row["p99 ms"]}
    return result


def start(seed: int) -> dict:
    """Seconds of fresh processes, median of five."""
    folder = saved("sst2", seed)
    answer = f"import kickbert; print(kickbert.load({str(folder)!r}, backend='onnx-int8').predict(['a warm film']))"
    codes = {"import": "import kickbert.inference.predictor", "import, load and answer": answer}
    taken = {
        what: np.median([_seconds(lambda code=code: subprocess.run([sys.executable, "-c", code], check=True,
                                                                   capture_output=True)) for _ in range(5)])
        for what, code in codes.items()
    }  # fmt: skip
    return {what: float(seconds) for what, seconds in taken.items()}


PARTS: Parts = {
    "throughput": [({}, throughput)],
    "usual": [({"usual": True}, throughput)],
    "floor": [({}, floor)],
    "cost": [({"name": name}, cost) for name in ("sst2", "kickstarter")],
    "latency": [({}, latency)],
    "start": [({}, start)],
}


if __name__ == "__main__":
    run_parts(__doc__, RUNS, PARTS, seeds=3)
