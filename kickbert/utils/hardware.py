"""Capabilities of the hardware: cores, and bfloat16. torch is imported only by the functions that need it."""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "bf16")


def has_bf16(device: "torch.device") -> bool:
    """Tell whether a device multiplies bfloat16 in hardware: AVX512-BF16 or AMX on a CPU, Ampere or later on a GPU."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


def choose_precision(precision: str, device: "torch.device") -> str:
    """Choose the precision to compute in.

    Args:
        precision: "fp32", "bf16", or "auto" for bf16 where the hardware has it and fp32 elsewhere.
        device: that computes.
    Returns:
        "bf16" or "fp32".
    Raises:
        ValueError: an unknown precision.

    >>> import torch
    >>> choose_precision("fp32", torch.device("cpu"))
    'fp32'
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} is not one of {list(PRECISIONS)}")
    if precision == "auto":
        return "bf16" if has_bf16(device) else "fp32"
    return precision


def cores() -> int:
    """Count the cores that this process may use: those it is bound to, at most its container's quota (cgroup v2)."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(bound, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or no limit ("max")
        return bound
