"""Throughput and latency of a model by batch size."""

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
MIN_CALLS = 5  # of a batch size, however slow


def benchmark(
    model: Any, texts: Sequence[str], batch_sizes: Sequence[int] = SIZES, seconds: float = 5.0
) -> pd.DataFrame:
    """Measure throughput and latency by batch size.

    Args:
        model: a learner, a predictor, or a function of a list of texts.
        texts: at least one; they are taken in turn, again and again.
        batch_sizes: numbers of texts of a call.
        seconds: duration of each measurement, after one call to warm up.
    Returns:
        A row per batch size: batch size, texts per second, latency of a call in milliseconds (median, p95 and p99),
        calls, and the process' peak memory in MB so far (on a GPU that of torch).
    Raises:
        ValueError: no texts, or a size under 1.
    """
    texts = list(texts)
    if not texts or min(batch_sizes) < 1:
        raise ValueError(
            f"{len(texts)} texts and batch_sizes={list(batch_sizes)}: give at least one text, sizes from 1"
        )
    call = model.predict_proba if is_model(model) else model
    return pd.DataFrame([_measure(call, texts, size, seconds) for size in batch_sizes])


def _measure(call: Callable, texts: list[str], size: int, seconds: float) -> dict:
    """The row of a batch size."""
    call([texts[i % len(texts)] for i in range(size)])
    durations, at, end = [], 0, time.perf_counter() + seconds
    while len(durations) < MIN_CALLS or time.perf_counter() < end:
        batch = [texts[(at + i) % len(texts)] for i in range(size)]
        start = time.perf_counter()
        call(batch)
        durations.append(time.perf_counter() - start)
        at += size
    median, p95, p99 = 1e3 * np.quantile(durations, [0.5, 0.95, 0.99])
    return {
        "batch size": size, "texts per second": size * len(durations) / sum(durations), "median ms": median,
        "p95 ms": p95, "p99 ms": p99, "calls": len(durations), "peak memory MB": peak_memory() / 1e6,
    }  # fmt: skip


def peak_memory() -> int:
    """Peak memory of the process so far, in bytes; on a GPU that of torch."""
    torch = sys.modules.get("torch")  # a predictor does without
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    unit = 1 if os.uname().sysname == "Darwin" else 1024  # getrusage(2): bytes on a Mac, kilobytes on Linux
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, psutil.Process().memory_info().rss)
