"""A custom cleaning step in a module that other processes can import."""

import os
import signal
import time


def fragile(text: str) -> str:
    """Return most texts unchanged; sleep, raise, or kill the process for some."""
    if "slow" in text:
        time.sleep(0.02)
    if "brittle" in text:
        raise ValueError("it broke")
    if "deadly" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    return text
