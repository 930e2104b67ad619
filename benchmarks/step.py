"""What a training step costs with one thing changed at a time: what was tried, and why it was kept or dropped.

    python benchmarks/step.py                       # every change, sst2 and Kickstarter, three rounds
    python benchmarks/step.py --tries base compiled --sets sst2

The last four layers of minilm train on states of depth 2, in bf16 and batches of 32 rows of nearly equal length. Each
measurement is a process of its own; the changes take turns, so that a slow minute meets all of them. A round's figure
is the time per token that is no padding.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pandas as pd
import torch
from common.record import RECORDS, alone, once, runs
from common.sets import joined, load
from torch.nn.attention import SDPBackend, sdpa_kernel

from kickbert.data.bucketing import Packed
from kickbert.data.transforms import TextTokenizer
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import load_encoder
from kickbert.models.head import Head
from kickbert.text.tokenization import PAD
from kickbert.utils.batching import bucketed

RUNS = RECORDS / "step.jsonl"
DEPTH = 2
TRIES = {
    "base": "as kickbert does it",
    "fused attention": "torch's fused attention instead of kickbert's",
    "math attention": "torch's attention written out instead of kickbert's",
    "packed": "no padding: all rows of a batch as one sequence, attention masked to blocks",
    "batch 64": "batches of 64 rows",
    "batch 128": "batches of 128 rows",
    "accumulated": "buckets of 128 rows by length, gradients of four batches of 32 summed for a step",
    "compiled": "torch.compile(dynamic=True) of each layer",
    "pinned": "each thread bound to a core",
    "one thread": "one thread",
    "bf16 weights": "bf16 weights, fp32 master copies in the optimizer",
    "fp32": "no autocast",
    "dropout": "the encoder's dropout of 0.1 on, with kickbert's mask",
    "torch dropout": "the encoder's dropout of 0.1 on, with torch's mask",
}
ENVIRONMENT = {"pinned": {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"}, "one thread": {"OMP_NUM_THREADS": "1"}}
BATCH = {"batch 64": 64, "batch 128": 128}


class Masters:
    """AdamW on fp32 copies of the layers' matrices, which become bf16 (Micikevicius et al. 2018, section 3.1)."""

    def __init__(self, layers: list[torch.nn.Parameter], head: list[torch.nn.Parameter]):
        self.live = [p for p in layers if p.dim() == 2]
        self.masters = [p.detach().clone().requires_grad_() for p in self.live]
        for p in self.live:
            p.data = p.data.bfloat16()
        rest = [p for p in layers if p.dim() != 2]
        self.opt = torch.optim.AdamW([*self.masters, *rest, *head], lr=1e-4, fused=True)

    def step(self) -> None:
        for p, master in zip(self.live, self.masters, strict=True):
            master.grad, p.grad = p.grad.float(), None
        self.opt.step()
        with torch.no_grad():
            torch._foreach_copy_(self.live, self.masters)

    def zero_grad(self) -> None:
        self.opt.zero_grad()


def packed_logits(model: TextClassifier) -> Callable:
    """The suffix on all rows of a batch as one sequence, and the head."""

    def logits(x: torch.Tensor, hidden: torch.Tensor, depth: int) -> torch.Tensor:
        mask = x != PAD
        row = mask.nonzero()[:, 0]
        blocks = (row[:, None] == row)[None, None]
        flat = hidden[mask][None]
        with torch.autocast("cpu", torch.bfloat16):
            for layer in model.encoder.layers[depth:]:
                out = layer(flat, attention_mask=blocks)
                flat = out[0] if isinstance(out, tuple) else out
            full = torch.zeros_like(hidden).masked_scatter(mask.unsqueeze(-1), flat[0])
            return model.head(full, mask)

    return logits


def prepare(what: str) -> tuple[TextClassifier, Callable, torch.optim.Optimizer | Masters]:
    """The model, its logits and its optimizer, changed as is to be tried."""
    torch.manual_seed(0)
    encoder = load_encoder("minilm", 0.1 if "dropout" in what else 0.0)
    model = TextClassifier(encoder, Head(encoder.width, 2, "mean"), "fp32" if what == "fp32" else "bf16")
    if what in ("fused attention", "math attention"):
        encoder.body.set_attn_implementation("sdpa")
    if what == "torch dropout":
        for module in list(encoder.modules()):
            for name, child in module.named_children():
                if isinstance(child, torch.nn.Dropout):
                    setattr(module, name, torch.nn.Dropout(child.p))
    for group in list(model.groups().values())[: DEPTH + 1]:
        for p in group:
            p.requires_grad_(False)
    if what == "compiled":
        torch._dynamo.config.cache_size_limit = 64
        for layer in encoder.layers:
            layer.forward = torch.compile(layer.forward, dynamic=True)
    model.train()
    layers, head = [p for p in encoder.parameters() if p.requires_grad], list(model.head.parameters())
    opt = Masters(layers, head) if what == "bf16 weights" else torch.optim.AdamW([*layers, *head], lr=1e-4, fused=True)
    return model, packed_logits(model) if what == "packed" else model, opt


def states(model: TextClassifier, rows: Packed) -> Packed:
    """The states of `DEPTH` of all rows."""
    found = []
    for i in range(0, len(rows), 64):
        x = rows.gather(range(i, min(len(rows), i + 64)), fill=PAD).long()
        found += [h[m].bfloat16() for h, m in zip(model.states(x, DEPTH), x != PAD, strict=True)]
    return Packed(torch.cat(found), rows.offsets)


def steps(what: str, name: str, count: int) -> dict:
    """Microseconds of training per token, after as many steps to warm up; and the share of padding."""
    df, _, _, columns = load(name, 0, 3_200)
    rows = Packed.of(TextTokenizer("minilm").encode_batch(joined(df, columns))[0])
    labels = torch.arange(len(rows)) % 2
    model, logits, opt = prepare(what)
    hidden, bs = states(model, rows), BATCH.get(what, 32)
    model.train()
    order = bucketed(rows.lengths, 128 if what == "accumulated" else bs, np.random.default_rng(0))
    batches = [order[i : i + bs] for i in range(0, len(order), bs)]
    batches = [batches[i % len(batches)] for i in range(2 * count)]
    every = 4 if what == "accumulated" else 1
    kernel = (lambda: sdpa_kernel(SDPBackend.MATH)) if what == "math attention" else nullcontext
    for i, chosen in enumerate(batches):
        if i == count:
            start = time.perf_counter()
        with kernel():
            out = logits(rows.gather(chosen, fill=PAD).long(), hidden.gather(chosen).float(), DEPTH)
            torch.nn.functional.cross_entropy(out, labels[chosen]).backward()
        if i % every == every - 1:
            opt.step()
            opt.zero_grad()
    seconds, timed = time.perf_counter() - start, batches[count:]
    tokens = sum(rows.lengths[b].sum() for b in timed)
    padded = sum(len(b) * rows.lengths[b].max() for b in timed)
    return {"us": 1e6 * seconds / float(tokens), "padding": float(1 - tokens / padded)}


def measure(what: str, name: str, count: int) -> dict:
    """`steps` in a process of its own."""
    return alone(__file__, "--one", what, "--sets", name, "--steps", count, env=ENVIRONMENT.get(what))


def table() -> str:
    """Microseconds a token and the ratio to kickbert's own, means over rounds, in Markdown."""
    df = pd.DataFrame(runs(RUNS))
    sets = list(df["set"].unique())
    means = df.groupby(["what", "set"])["us"].mean().unstack()
    lines = [
        "| tried | " + " | ".join(f"{s}, µs a token | ratio" for s in sets) + " |",
        "|---" * (1 + 2 * len(sets)) + "|",
    ]
    for what in (w for w in TRIES if w in means.index):
        cells = [f"{means.loc[what, s]:.1f} | {means.loc[what, s] / means.loc['base', s]:.2f}" for s in sets]
        lines.append(f"| {TRIES[what]} | " + " | ".join(cells) + " |")
    waste = df[df["what"] == "base"].groupby("set")["padding"].first()
    return "\n".join([*lines, "", "Padding: " + ", ".join(f"{s} {100 * waste[s]:.1f} % of tokens" for s in sets)])


def main() -> None:
    """Measure each change in turn, round by round, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", nargs="*", default=list(TRIES), choices=list(TRIES))
    parser.add_argument("--sets", nargs="+", default=["sst2", "kickstarter"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    if args.one:
        print(json.dumps(steps(args.one, args.sets[0], args.steps)))
        return
    for number in range(args.rounds):
        for name in args.sets:
            for what in args.tries:
                once(RUNS, lambda: measure(what, name, args.steps), what=what, set=name, round=number)  # noqa: B023
    print(table())


if __name__ == "__main__":
    main()
