"""A function that runs in a separate process and ends with this one."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any

CONTEXT = get_context("spawn")  # forking a process with threads may hang
LOWEST = 19  # niceness: runs when nothing else wants the core
PATIENCE = 5.0  # seconds between asking a process to end and killing it


class ChildProcess:
    """A function in a separate process, which ends when this process ends, even if it is killed.

    Args:
        task: Function of a module that returns a dict.
        arguments: Its arguments.
        lowest: Whether to run it at the lowest priority, on one thread, without output.
    """

    def __init__(self, task: Callable[..., dict[str, Any]], *arguments: Any, lowest: bool = False):
        self.lowest = lowest
        self.process: Any = None
        self._task = task
        self._arguments = arguments
        self._lock = threading.Lock()
        self._status: dict[str, Any] = {"state": "none"}

    def start(self) -> None:
        """Start the function unless it is running."""
        if self.status()["state"] == "running":
            return
        with self._lock:
            self._results, end = CONTEXT.Pipe(duplex=False)
            arguments = (end, self.lowest, self._task, self._arguments)
            self.process = CONTEXT.Process(target=_run, args=arguments, daemon=True)
            self.process.start()
            end.close()
            self._status = {"state": "running"}

    def status(self) -> dict[str, Any]:
        """Return the `state`: "none", "running", "done" with the function's result, or "failed" with a `reason`."""
        with self._lock:
            if self._status["state"] == "running" and self._results.poll():
                try:
                    self._status = self._results.recv()
                except (EOFError, OSError):
                    self.process.join(PATIENCE)
                    reason = f"The process ended unexpectedly with exit code {self.process.exitcode}."
                    self._status = {"state": "failed", "reason": reason}
            return self._status

    def stop(self) -> None:
        """End the process, whether or not it is done."""
        if self.process is not None and self.process.is_alive():
            self.process.terminate()
            self.process.join(PATIENCE)
            self.process.kill()


def _run(results: Connection, lowest: bool, task: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the parent ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if lowest:
        if hasattr(os, "nice"):  # not on Windows
            os.nice(LOWEST)
        os.environ["OMP_NUM_THREADS"] = "1"  # torch is not imported yet, and reads it on import
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open as long as the process
    results.send(outcome(task, arguments))


def outcome(task: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Call a function, and return its result or the reason why it failed, as in `ChildProcess.status`."""
    try:
        return {"state": "done", **task(*arguments)}
    except Exception as err:
        return {"state": "failed", "reason": " ".join(str(err).split()) or type(err).__name__}


def _end_with_parent() -> None:
    """Wait for the parent to end. A killed parent cannot end its children, but its end of a pipe closes."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
