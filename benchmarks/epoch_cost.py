"""Seconds per epoch by phase and encoder, cached and not, and the share of the machine's own matrix rate.

    python benchmarks/epoch_cost.py                                # minilm and a 12-layer base, on sst2's lengths
    python benchmarks/epoch_cost.py --encoders base --rows 512 --tokens 128 --bs 64     # as on a GPU

The floor is the useful arithmetic over the measured rate of the same matrix products: forward of what runs, gradients
of what trains, real tokens only. The weights of `base` are random, of roberta-base's shape: time does not depend on
them.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback
from record import once, runs
from sets import load

from kickbert import Phase, Stores
from kickbert.batches import BucketDL
from kickbert.encoder import Encoder, load_encoder
from kickbert.head import Head, TextClassifier
from kickbert.learner import GradualLearner
from kickbert.precision import choose

RUNS = Path(__file__).with_name("epoch_cost.jsonl")
PHASES = {"head": 0, "last 2 layers": 2, "last 4 layers": 4, "everything": -1}
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def encoder_of(name: str) -> Encoder:
    """The pretrained small encoder, or a random one of roberta-base's shape."""
    if name == "minilm":
        return load_encoder("minilm")
    from transformers import RobertaConfig, RobertaModel

    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return Encoder(RobertaModel(RobertaConfig(vocab_size=50_265, max_position_embeddings=514, pad_token_id=1, **quiet)))


def lengths_of(rows: int, tokens: int | None) -> np.ndarray:
    """Token counts of sst2 sentences, or the same for all."""
    if tokens:
        return np.full(rows, tokens)
    from kickbert.tokenizer import TextTokenizer

    texts = load("sst2", seed=0, rows=rows)[0]["text"].tolist()
    return np.array([len(ids) for ids in TextTokenizer("minilm").encode_batch(texts)[0]])


class Rows(torch.utils.data.Dataset):
    """Random tokens of given lengths, and random labels."""

    def __init__(self, lengths: np.ndarray, seed: int):
        from fastai.torch_core import TensorCategory

        from kickbert.tokenizer import Tokens

        rng = np.random.default_rng(seed)
        self.items = [
            (Tokens(torch.from_numpy(rng.integers(1000, 30_000, n))), TensorCategory(int(rng.integers(2))))
            for n in lengths
        ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> tuple:
        return self.items[i]


def flops(encoder: Encoder, lengths: np.ndarray, training: int, cached: bool) -> float:
    """Useful operations of an epoch: a multiplication and an addition count as two.

    Args:
        training: layers that train, from the last one back; -1 for all and the embeddings.
        cached: whether the layers below are not run.
    """
    width, count = encoder.width, encoder.n_layers
    matrices = sum(p.numel() for p in encoder.layers[0].parameters() if p.dim() == 2)
    forward = float((2 * matrices * lengths + 4 * width * lengths.astype(float) ** 2).sum())
    layers = count if training < 0 else training
    below = 0 if cached else count - layers
    return forward * (below + 3 * layers)


def matrix_rate(encoder: Encoder, tokens: int, dtype: torch.dtype, seconds: float = 1.0) -> float:
    """Operations per second of a layer's own matrix products at a batch's number of tokens."""
    shapes = [p.shape for p in encoder.layers[0].parameters() if p.dim() == 2]
    pairs = [
        (torch.randn(tokens, i, device=DEVICE, dtype=dtype), torch.randn(i, o, device=DEVICE, dtype=dtype))
        for o, i in shapes
    ]
    work = sum(2 * tokens * o * i for o, i in shapes)
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = _now()
        for a, b in pairs:
            a @ b
        best = max(best, work / (_now() - start))
    return best


def _now() -> float:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def learner(name: str, lengths: np.ndarray, bs: int, cached: bool, path: str) -> GradualLearner:
    """A learner over random rows; validation is a single batch, which is not timed."""
    from fastai.data.core import DataLoaders

    train = BucketDL(Rows(lengths, 0), bs=bs, shuffle=True, device=DEVICE)
    valid = BucketDL(Rows(lengths[:bs], 1), bs=bs, device=DEVICE)
    encoder = encoder_of(name)
    model = TextClassifier(encoder, Head(encoder.width, 2, "mean"), choose("auto", DEVICE)).to(DEVICE)
    return GradualLearner(
        DataLoaders(train, valid, device=DEVICE), model, cache=Stores() if cached else False, path=path
    )


class Seconds(Callback):
    """Times the training part of each epoch; the first, which builds the store, is left out."""

    order = 200

    def __init__(self):
        self.seconds = []

    def before_train(self):
        self.start = _now()

    def after_train(self):
        self.seconds.append(_now() - self.start)


def measure(name: str, phase: str, cached: bool, lengths: np.ndarray, bs: int, epochs: int) -> dict:
    """Seconds of an epoch (the best of `epochs`, after one to warm up) and the share of the matrix rate."""
    training = PHASES[phase]
    with tempfile.TemporaryDirectory() as scratch:
        learn = learner(name, lengths, bs, cached, scratch)
        n = len(learn.model.groups())
        timer = Seconds()
        first = 0 if training < 0 else n - 1 - training
        learn.logger = lambda *a: None
        learn.fit_gradual([Phase(phase, first, epochs + 1, 1e-5)], cbs=[timer])
        encoder = learn.model.encoder
        best = min(timer.seconds[1:])
        tokens = int(np.median(lengths) * bs)
        dtype = torch.bfloat16 if learn.model.precision == "bf16" else torch.float32
        rate = flops(encoder, lengths, training, cached) / best
        peak = matrix_rate(encoder, tokens, dtype)
        store = learn.cache.info() if cached else pd.DataFrame(columns=["seconds to build"])
    built = float(store["seconds to build"].sum())
    return {"seconds": best, "rate": rate, "peak": peak, "share": rate / peak, "built": built, "device": DEVICE.type}


def table() -> str:
    """The runs as a Markdown table, cached beside not."""
    df = pd.DataFrame(runs(RUNS)).drop_duplicates(["encoder", "phase", "cached", "tokens", "device"], keep="last")
    lines = [
        "| encoder | phase | uncached s | cached s | ratio | building s | share of matrix rate |",
        "|---" * 7 + "|",
    ]
    for (name, phase, tokens, _), found in df.groupby(["encoder", "phase", "tokens", "device"], sort=False):
        by = found.set_index("cached")
        plain = by.loc[False]
        kept = by.loc[True] if True in by.index else plain
        told = f"{plain.seconds:.2f} | {kept.seconds:.3f} | {plain.seconds / kept.seconds:.1f} | {kept.built:.1f}"
        lines.append(f"| {name}, {tokens} | {phase} | {told} | {kept.share:.0%} |")
    return "\n".join(lines)


def _wanted(encoders: list[str]) -> Iterator[tuple[str, str, bool]]:
    for name in encoders:
        for phase in PHASES:
            for cached in (False, True) if phase != "everything" else (False,):
                yield name, phase, cached


def main() -> None:
    """Measure each encoder, phase and cache setting in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="+", default=["minilm", "base"], choices=["minilm", "base"])
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--tokens", type=int, help="of every row; by default as long as sst2's sentences")
    parser.add_argument("--bs", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    lengths = lengths_of(args.rows, args.tokens)
    told = f"{args.tokens} tokens" if args.tokens else "sst2"
    for name, phase, cached in _wanted(args.encoders):
        work = lambda: measure(name, phase, cached, lengths, args.bs, args.epochs)  # noqa: B023, E731 - called at once
        once(RUNS, work, encoder=name, phase=phase, cached=cached, tokens=told, rows=args.rows, bs=args.bs)
    print(table())


if __name__ == "__main__":
    main()
