"""How fast a model answers."""

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import psutil

from kickbert.models.protocol import is_model

SIZES = (1, 8, 32, 128)
LEAST = 5  # calls of a size, however slow


def benchmark(
    model: Any, texts: Sequence[str], batch_sizes: Sequence[int] = SIZES, seconds: float = 5.0
) -> pd.DataFrame:
    """Texts per second and latency by batch size.

    Args:
        model: a learner, a predictor, or a function of a list of texts.
        texts: at least one; they are taken in turn, again and again.
        batch_sizes: texts of a call.
        seconds: for which each size is measured, after one call to warm up.
    Returns:
        batch size, texts per second, median, p95 and p99 of a call in milliseconds, calls, and the process' peak
        memory in MB so far (of a GPU that of torch).
    Raises:
        ValueError: no texts, or a size under 1.
    """
    texts = list(texts)
    if not texts or min(batch_sizes) < 1:
        raise ValueError(
            f"{len(texts)} texts and batch_sizes={list(batch_sizes)}: give at least one text, sizes from 1"
        )
    call = model.predict_proba if is_model(model) else model
    return pd.DataFrame([_measured(call, texts, size, seconds) for size in batch_sizes])


def _measured(call: Callable, texts: list[str], size: int, seconds: float) -> dict:
    call([texts[i % len(texts)] for i in range(size)])
    taken, at, end = [], 0, time.perf_counter() + seconds
    while len(taken) < LEAST or time.perf_counter() < end:
        batch = [texts[(at + i) % len(texts)] for i in range(size)]
        start = time.perf_counter()
        call(batch)
        taken.append(time.perf_counter() - start)
        at += size
    median, p95, p99 = 1e3 * np.quantile(taken, [0.5, 0.95, 0.99])
    return {
        "batch size": size, "texts per second": size * len(taken) / sum(taken), "median ms": median, "p95 ms": p95,
        "p99 ms": p99, "calls": len(taken), "peak memory MB": peak_memory() / 1e6,
    }  # fmt: skip


def peak_memory() -> int:
    """The most memory that the process has held, in bytes; on a GPU the most that torch has."""
    torch = sys.modules.get("torch")  # a predictor does without
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    unit = 1 if os.uname().sysname == "Darwin" else 1024  # getrusage(2): bytes on a Mac, kilobytes on Linux
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, psutil.Process().memory_info().rss)
