"""Benchmark a model: throughput, latency and memory by batch size."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import psutil

from kickbert.models.protocol import TextModel, is_model

SIZES = (1, 8, 32, 128)
MIN_CALLS = 5  # per batch size, even if they are slow


def benchmark(
    model: TextModel | Callable[[list[str]], Any],
    texts: Sequence[str],
    batch_sizes: Sequence[int] = SIZES,
    seconds: float = 5.0,
) -> pd.DataFrame:
    """Measure throughput and latency by batch size.

    Args:
        model: a learner, a predictor, or a function of a list of texts.
        texts: at least one text; they are repeated as needed.
        batch_sizes: numbers of texts per call.
        seconds: duration of each measurement, after one call to warm up.
    Returns:
        One row per batch size: batch size, texts per second, latency of a call in milliseconds (median, p95 and p99),
        number of calls, and the peak memory of the process in MB so far (on a GPU, that of PyTorch).
    Raises:
        ValueError: there are no texts, or a size is below 1.
    """
    texts = list(texts)
    if not texts or min(batch_sizes) < 1:
        raise ValueError(
            f"{len(texts)} texts and batch_sizes={list(batch_sizes)}: give at least one text, and sizes of at least 1"
        )
    call = model.predict_proba if is_model(model) else model
    return pd.DataFrame([_measure(call, texts, size, seconds) for size in batch_sizes])


def _measure(call: Any, texts: list[str], size: int, seconds: float) -> dict[str, float]:
    """Measure one batch size."""
    call([texts[i % len(texts)] for i in range(size)])
    durations: list[float] = []
    first = 0
    end = time.perf_counter() + seconds
    while len(durations) < MIN_CALLS or time.perf_counter() < end:
        batch = [texts[(first + i) % len(texts)] for i in range(size)]
        start = time.perf_counter()
        call(batch)
        durations.append(time.perf_counter() - start)
        first += size
    median, p95, p99 = 1e3 * np.quantile(durations, [0.5, 0.95, 0.99])
    return {
        "batch size": size,
        "texts per second": size * len(durations) / sum(durations),
        "median ms": median,
        "p95 ms": p95,
        "p99 ms": p99,
        "calls": len(durations),
        "peak memory MB": peak_memory() / 1e6,
    }


def peak_memory() -> int:
    """Return the peak memory of the process so far, in bytes; on a GPU that of PyTorch."""
    torch = sys.modules.get("torch")  # a predictor may run without it
    if torch is not None and torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    memory = psutil.Process().memory_info()
    try:
        import resource
    except ImportError:  # Windows
        return int(getattr(memory, "peak_wset", memory.rss))
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, kilobytes on Linux
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, memory.rss)
