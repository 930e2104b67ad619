"""The rate of matrix products on this machine, as a reference for the rate of useful operations."""

import time

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def now() -> float:
    """Seconds; on a GPU, after all queued work is done."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def product_rate(tokens: int, inputs: int, outputs: int, dtype=torch.bfloat16, seconds: float = 0.5) -> float:
    """The best rate of (tokens, inputs) @ (inputs, outputs) within `seconds`, in operations per second."""
    a = torch.randn(tokens, inputs, device=DEVICE, dtype=dtype)
    b = torch.randn(inputs, outputs, device=DEVICE, dtype=dtype)
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = now()
        a @ b
        best = max(best, 2 * tokens * inputs * outputs / (now() - start))
    return best
