"""Seconds per epoch by phase and encoder, cached and uncached, and for Hugging Face's Trainer.

    python benchmarks/epoch_cost.py                                # minilm and MPNet on sst2's sentences
    python benchmarks/epoch_cost.py --encoders base --rows 512 --tokens 128 --bs 64     # as on a GPU

The Trainer trains all layers in bf16 with batches grouped by length. *FLOP/s relative to matrix multiplication*: the
useful operations (forward passes, gradients of trained layers, no padding) per second, divided by the measured rate of
the same matrix products alone. The weights of `base` are random; time does not depend on them.
"""

import argparse
import tempfile
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from common.rates import DEVICE, now, product_rate
from common.record import RECORDS, once, runs
from common.sets import load
from encoders import folder_of
from fastai.callback.core import Callback

from kickbert import Cache, Phase, learner_from_df
from kickbert.models.encoder import Encoder

RUNS = RECORDS / "epoch_cost.jsonl"
PHASES = {"head": 0, "last 2 layers": 2, "last 4 layers": 4, "everything": -1}


def flops(encoder: Encoder, lengths: np.ndarray, training: int, cached: bool) -> float:
    """Useful operations per epoch; a multiplication and an addition count as two.

    Args:
        training: number of trained layers, counted from the last; -1 for all layers and the embeddings.
        cached: whether the layers below are read from the cache.
    """
    width, count = encoder.width, encoder.n_layers
    matrices = sum(p.numel() for p in encoder.layers[0].parameters() if p.dim() == 2 and min(p.shape) >= width)
    forward = float((2 * matrices * lengths + 4 * width * lengths.astype(float) ** 2).sum())
    layers = count if training < 0 else training
    below = 0 if cached else count - layers
    return forward * (below + 3 * layers)


def layer_rate(encoder: Encoder, tokens: int, dtype: torch.dtype) -> float:
    """Operations per second of a layer's matrix products for a batch of this many tokens."""
    shapes = [p.shape for p in encoder.layers[0].parameters() if p.dim() == 2 and min(p.shape) >= encoder.width]
    work = [2 * tokens * o * i for o, i in shapes]
    seconds = [w / product_rate(tokens, i, o, dtype, 0.25) for w, (o, i) in zip(work, shapes, strict=True)]
    return sum(work) / sum(seconds)


class Seconds(Callback):
    """Time the training part of each epoch; the first one, which fills the cache, is left out."""

    order = 200

    def __init__(self):
        self.seconds = []

    def before_train(self):
        self.start = now()

    def after_train(self):
        self.seconds.append(now() - self.start)


def measure(name: str, phase: str, cached: bool, df: pd.DataFrame, length: int | None, bs: int, epochs: int) -> dict:
    """Seconds per epoch (the best of `epochs` after a warmup epoch) and FLOP/s relative to matrix multiplication."""
    training = PHASES[phase]
    with tempfile.TemporaryDirectory() as scratch:
        learn = learner_from_df(
            df, model=folder_of(name), valid=df.index[:bs], max_length=length, bs=bs, path=scratch,
            cache=Cache() if cached else False,
        )  # fmt: skip
        groups, timer = len(learn.model.groups()), Seconds()
        first = 0 if training < 0 else groups - 1 - training
        learn.logger = lambda *a: None
        learn.fit_gradual([Phase(phase, first, epochs + 1, 1e-5)], cbs=[timer])
        store = learn.cache.info() if cached else pd.DataFrame(columns=["seconds to build"])
    encoder, lengths = learn.model.encoder, learn.dls.train.rows[0].lengths
    dtype = torch.bfloat16 if learn.model.precision == "bf16" else torch.float32
    best, peak = min(timer.seconds[1:]), layer_rate(encoder, int(lengths.mean() * bs), dtype)
    share = flops(encoder, lengths, training, cached) / best / peak
    built = float(store["seconds to build"].sum())
    return {"seconds": best, "peak": peak, "share": share, "built": built}


def measure_trainer(name: str, df: pd.DataFrame, bs: int, epochs: int) -> dict:
    """Seconds per epoch of the Trainer: the best of `epochs` after a warmup epoch."""
    from common.peers import trainer_of
    from transformers import TrainerCallback

    class Epochs(TrainerCallback):
        seconds = []

        def on_epoch_begin(self, *args, **kwargs):
            self.start = now()

        def on_epoch_end(self, *args, **kwargs):
            self.seconds.append(now() - self.start)

    rows = df.iloc[bs:]  # what kickbert trains on
    with tempfile.TemporaryDirectory() as scratch:
        texts = (rows["text"].tolist(), rows["label"].tolist())
        trainer, _ = trainer_of(folder_of(name), texts, scratch, epochs=epochs + 1, bs=bs)
        trainer.add_callback(Epochs())
        trainer.train()
    return {"seconds": min(Epochs.seconds[1:])}


def table() -> str:
    """The runs as a Markdown table: cached, uncached, and the Trainer's full epoch."""
    df = pd.DataFrame(runs(RUNS))
    lines = [
        "| encoder, data | phase | uncached, s | cached, s | uncached / cached | Trainer's full epoch / cached | "
        "building the cache, s | FLOP/s relative to matrix multiplication |",
        "|---" * 8 + "|",
    ]
    for (name, tokens, _), group in df.groupby(["encoder", "tokens", "device"], sort=False):
        full = group.loc[group["phase"] == "Trainer", "seconds"]
        for phase, rows in group[group["phase"] != "Trainer"].groupby("phase", sort=False):
            by = rows.set_index("cached").to_dict("index")
            plain, kept = by[False], by.get(True, by[False])
            cells = f"{plain['seconds']:.2f} | {kept['seconds']:.3f} | {plain['seconds'] / kept['seconds']:.1f}"
            rival = f"{full.iloc[0] / kept['seconds']:.1f}" if len(full) else ""
            share = f"{kept['share']:.0%}" if PHASES[phase] else ""  # the head has almost no arithmetic
            lines.append(f"| {name}, {tokens} | {phase} | {cells} | {rival} | {kept['built']:.1f} | {share} |")
        lines += [f"| {name}, {tokens} | Trainer, everything | {s:.2f} | | | | | |" for s in full]
    return "\n".join(lines)


def _wanted(encoders: list[str]) -> Iterator[tuple[str, str, bool]]:
    for name in encoders:
        for phase in PHASES:
            for cached in (False, True) if phase != "everything" else (False,):
                yield name, phase, cached
        yield name, "Trainer", False


def main() -> None:
    """Measure each encoder, phase, and cache setting and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="*", default=["minilm", "mpnet"], choices=["minilm", "mpnet", "base"])
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--tokens", type=int, help="tokens per row; default: the lengths of sst2's sentences")
    parser.add_argument("--bs", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    if args.tokens:  # longer than that, then truncated
        texts = [f"{i} " + "word " * args.tokens for i in range(args.rows)]
        df = pd.DataFrame({"text": texts, "label": [i % 2 for i in range(args.rows)]})
    else:
        df = load("sst2", seed=0, rows=args.rows)[0]
    cells = f"{args.tokens} a row" if args.tokens else "sst2"
    for name, phase, cached in _wanted(args.encoders):
        if phase == "Trainer":
            work = lambda: measure_trainer(name, df, args.bs, args.epochs)  # noqa: B023, E731 - called at once
        else:
            work = lambda: measure(name, phase, cached, df, args.tokens, args.bs, args.epochs)  # noqa: B023, E731
        settings = {"tokens": cells, "rows": args.rows, "bs": args.bs, "device": DEVICE.type}
        once(RUNS, work, encoder=name, phase=phase, cached=cached, **settings)
    print(table())


if __name__ == "__main__":
    main()
