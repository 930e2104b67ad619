"""Capabilities of the hardware: cores, bfloat16, processes that train together.

torch is imported only by the functions that need it.
"""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "bf16")


def best_device() -> "torch.device":
    """The device that computes: an NVIDIA GPU, else Apple's, else the CPU; fastai takes the same."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def usable_device(device: "str | torch.device") -> "torch.device":
    """A device by its name.

    Raises:
        ValueError: this machine, or this build of torch, has none of that name.
    """
    import torch

    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as err:
        reason = str(err).partition("\n")[0]
        raise ValueError(f"device={str(device)!r} is not to be had here ({reason}); there is {best_device()}") from None


def describe_device(device: "torch.device", precision: str) -> str:
    """A device and the precision it computes in, in one line.

    >>> import torch
    >>> describe_device(torch.device("mps"), "fp32")
    'Apple GPU (mps), fp32'
    """
    import torch

    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device}), {precision}"
    where = {"cpu": f"CPU, {torch.get_num_threads()} threads", "mps": "Apple GPU (mps)"}
    return f"{where.get(device.type, device)}, {precision}"


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


def processes(here: bool = False) -> int:
    """Count the processes that torchrun started to train together; 1 without it.

    Args:
        here: whether to count those of this machine alone.
    """
    name = "LOCAL_WORLD_SIZE" if here else "WORLD_SIZE"
    return int(os.environ[name]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def rank() -> int:
    """The number of this process among those that torchrun started; 0 for the first of them, and without it."""
    return int(os.environ["RANK"]) if "TORCHELASTIC_RUN_ID" in os.environ else 0


def check_processes(count: int, gpus: int = 0) -> None:
    """Check that this machine has a core, or if it has GPUs one of them, for each process.

    Raises:
        ValueError: it has fewer.
    """
    if count > (gpus or cores()):
        what = f"{gpus} GPUs" if gpus else f"{cores()} cores"
        raise ValueError(f"{count} processes are more than the {what} of this machine; start at most {gpus or cores()}")
