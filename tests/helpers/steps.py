"""Functions in a module that other processes can import."""

import os
import signal
from pathlib import Path


def fragile(text: str) -> str:
    """Clean a text: raise an error for some."""
    if "brittle" in text:
        raise ValueError("it broke")
    return text


def die_once(model, marker: str) -> int:
    """End the process the first time; return the number of the model's threads the second time."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return model.backend.workers
