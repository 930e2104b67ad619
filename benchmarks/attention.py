"""kickbert's attention on a CPU in bf16 against torch's own, by length.

    python benchmarks/attention.py

12 heads of 32 units, as minilm has; a third of each second row is padding. Ways take turns; the ratio is that of the
shortest of some rounds. A second table has a training step of the whole of minilm as transformers loads it, by its two
implementations of attention: which one a rival is to have.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from kickbert.models.attention import attention
from kickbert.utils import hub

SHAPES = ((16, 32), (32, 32), (64, 32), (128, 32), (256, 32), (512, 16))  # tokens, rows
HEADS, SIZE = 12, 32
WAYS: dict[str, tuple[bool, SDPBackend]] = {
    "kickbert": (True, SDPBackend.MATH),
    "torch, fused": (False, SDPBackend.FLASH_ATTENTION),
    "torch, math": (False, SDPBackend.MATH),
}


def states(tokens: int, rows: int) -> tuple[list[Tensor], Tensor]:
    """Queries, keys and values, shape (rows, heads, tokens, size), and the mask, (rows, 1, tokens, tokens)."""
    torch.manual_seed(0)
    mask = torch.ones(rows, tokens, dtype=torch.bool)
    mask[::2, tokens - tokens // 3 :] = False
    return (
        [torch.randn(rows, HEADS, tokens, SIZE, dtype=torch.bfloat16).requires_grad_() for _ in range(3)],
        mask[:, None, None].expand(-1, -1, tokens, -1),
    )


def once(way: str, inputs: list[Tensor], mask: Tensor, train: bool) -> None:
    """One pass, and back if `train`."""
    own, backend = WAYS[way]
    with torch.set_grad_enabled(train), sdpa_kernel(backend):
        if own:
            out = attention(torch.nn.Module(), *inputs, mask)[0]
        else:
            out = scaled_dot_product_attention(*inputs, attn_mask=mask)
        if train:
            torch.autograd.grad(out, inputs, torch.ones_like(out))


def step(implementation: str, tokens: int, rows: int) -> Callable[[], None]:
    """A training step of minilm with a linear head by transformers alone, under bf16 autocast."""
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(
        hub.minilm_folder(), num_labels=2, attn_implementation=implementation
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-4)
    x, y = torch.randint(1_000, 20_000, (rows, tokens)), torch.zeros(rows, dtype=torch.long)
    mask = torch.ones_like(x)
    mask[::2, tokens - tokens // 3 :] = 0

    def work() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=x, attention_mask=mask, labels=y).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return work


def clock(work: Callable[[], None], seconds: float) -> float:
    """Seconds of one call, a mean over `seconds`."""
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        work()
        calls += 1
    return (time.perf_counter() - start) / calls


def print_steps(rounds: int, seconds: float) -> None:
    """Print the table of whole steps."""
    print("\n| tokens | rows | eager, ms | sdpa, ms | sdpa, times |\n|---|---|---|---|---|")
    for tokens, rows in SHAPES:
        works = {name: step(name, tokens, rows) for name in ("eager", "sdpa")}
        best = dict.fromkeys(works, float("inf"))
        for _ in range(rounds):
            for name, work in works.items():
                work()
                best[name] = min(best[name], clock(work, seconds))
        eager, sdpa = (1000 * best[name] for name in works)
        print(f"| {tokens} | {rows} | {eager:,.0f} | {sdpa:,.0f} | {sdpa / eager:.2f} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    others = [way for way in WAYS if way != "kickbert"]
    print("| tokens | rows | pass | kickbert, ms | " + " | ".join(f"{way}, times" for way in others) + " |")
    print("|---" * (4 + len(others)) + "|")
    for tokens, rows in SHAPES:
        inputs, mask = states(tokens, rows)
        for train in (False, True):
            best = dict.fromkeys(WAYS, float("inf"))
            for _ in range(args.rounds):
                for way in WAYS:
                    once(way, inputs, mask, train)
                    found = clock(lambda: once(way, inputs, mask, train), args.seconds)  # noqa: B023 - called at once
                    best[way] = min(best[way], found)
            told = " | ".join(f"{best[way] / best['kickbert']:.1f}" for way in others)
            name = "forward and back" if train else "forward"
            print(f"| {tokens} | {rows} | {name} | {1000 * best['kickbert']:.2f} | {told} |", flush=True)
    print_steps(args.rounds, args.seconds)


if __name__ == "__main__":
    main()
