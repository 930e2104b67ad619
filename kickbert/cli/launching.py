"""Run a command in several processes with the launcher of torchrun."""

import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kickbert.utils.limits import cores
from kickbert.utils.processes import check_processes, rank, world_size

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

COMMAND = "from kickbert.cli.launching import work; from kickbert.cli.commands import main; work(main)"
GRACE = 5.0  # seconds


def launched(processes: int) -> bool:
    """Run this command line in several processes on this machine, and show the output of the first one.

    Returns:
        Whether processes were launched. False for a single process and inside a launched process.
    Raises:
        ValueError: there are fewer cores or GPUs than processes.
        Exit: the first process failed and printed its own message.
        RuntimeError: another process failed; the message says why.
    """
    if processes == 1 or world_size() > 1:
        return False
    import torch
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    gpus = torch.cuda.device_count()
    check_processes(processes, gpus)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // processes)))
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # errors are reported below in one sentence
    with tempfile.TemporaryDirectory() as folder:
        logs = DefaultLogsSpecs(folder, redirects=dict.fromkeys(range(1, processes), Std.ALL))
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=processes, rdzv_backend="c10d", rdzv_endpoint="localhost:0",
            run_id="kickbert", max_restarts=0, logs_specs=logs,
        )  # fmt: skip
        try:
            elastic_launch(config, sys.executable)("-c", COMMAND, *sys.argv[1:])
        except ChildFailedError as err:
            first = err.failures.get(0)
            if first is not None and first.exitcode > 0:
                raise typer.Exit(first.exitcode) from err
            number, failure = err.get_first_failure()
            raise RuntimeError(_reason(number, failure, Path(folder))) from err
    return True


def work(main: Callable[[], None]) -> None:
    """Run the command line in a launched process. On failure, wait until the first process has printed its message."""
    try:
        main()
    except SystemExit as done:
        if done.code and rank():
            time.sleep(GRACE)
        raise


def _reason(number: int, failure: "ProcessFailure", folder: Path) -> str:
    """Say why a process failed: its signal, or the last line of its standard error."""
    if failure.exitcode < 0:
        return f"process {number} was killed by {failure.signal_name()}, so the others were stopped; nothing was saved"
    lines = "".join(log.read_text(encoding="utf-8") for log in folder.rglob(f"{number}/stderr.log")).split("\n")
    return next((line for line in reversed(lines) if line), "the process ended without a message").removeprefix(
        "error: "
    )
