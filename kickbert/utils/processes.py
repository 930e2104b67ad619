"""The processes that torchrun started to train together."""

import os

from kickbert.utils.limits import cores


def world_size(local: bool = False) -> int:
    """Count the processes that torchrun started to train together; 1 without torchrun.

    Args:
        local: whether to count only those on this machine.
    """
    name = "LOCAL_WORLD_SIZE" if local else "WORLD_SIZE"
    return int(os.environ[name]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def rank() -> int:
    """Look up the number of this process among those that torchrun started; 0 without torchrun."""
    return int(os.environ["RANK"]) if "TORCHELASTIC_RUN_ID" in os.environ else 0


def check_processes(count: int, gpus: int = 0) -> None:
    """Check that this machine has a GPU for each process or, without GPUs, a core for each.

    Args:
        count: number of processes.
        gpus: number of GPUs.
    Raises:
        ValueError: there are too many processes.
    """
    limit = gpus or cores()
    if count > limit:
        what = "GPUs" if gpus else "cores"
        raise ValueError(f"{count} processes are too many: this machine has {limit} {what}. Start at most {limit}")
