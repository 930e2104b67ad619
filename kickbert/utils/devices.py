"""Devices and their precision.

torch is imported only by the functions that need it.
"""

from typing import TYPE_CHECKING

from kickbert.utils.limits import cores
from kickbert.utils.messages import plural

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "bf16")


def best_device() -> "torch.device":
    """Choose the device as fastai does: an NVIDIA GPU, otherwise Apple's GPU, otherwise the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def limit_threads() -> None:
    """Let torch use no more threads than the container has cores: torch counts those of the host."""
    import torch

    if torch.get_num_threads() > cores():
        torch.set_num_threads(cores())


def usable_device(device: "str | torch.device") -> "torch.device":
    """Check that a device can be used.

    Args:
        device: a device or its name, such as "cuda:1".
    Raises:
        ValueError: this machine or this build of torch does not have it.
    """
    import torch

    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as err:
        reason = str(err).partition("\n")[0]
        raise ValueError(f"device={str(device)!r} is not available ({reason}). Use {str(best_device())!r}") from None


def describe_device(device: "torch.device", precision: str) -> str:
    """Describe a device and its precision in one line.

    >>> import torch
    >>> describe_device(torch.device("mps"), "fp32")
    'Apple GPU (mps), fp32'
    """
    import torch

    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device}), {precision}"
    names = {"cpu": f"CPU, {plural(torch.get_num_threads(), 'thread')}", "mps": "Apple GPU (mps)"}
    return f"{names.get(device.type, device)}, {precision}"


def has_bf16(device: "torch.device") -> bool:
    """Tell whether a device multiplies bfloat16 in hardware: a CPU with AVX512-BF16 or AMX, a GPU since Ampere."""
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
        precision: "fp32", "bf16", or "auto" for bf16 if the hardware supports it and fp32 otherwise.
        device: the device.
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
