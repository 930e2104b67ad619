"""Functions in a module that other processes can import."""

import os
import signal
from pathlib import Path


def fragile(text: str) -> str:
    """Clean a text: raise an error for some."""
    if "brittle" in text:
        raise ValueError("it broke")
    return text


def die_once(model, marker: str) -> str:
    """End the process the first time; return its number of threads the second time."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.environ["OMP_NUM_THREADS"]
