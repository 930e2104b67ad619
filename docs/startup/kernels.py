"""Fork kernels from one process that has imported what all pages import, so that they start faster.

python kernels.py serve SOCKET              the process that forks, until its standard input ends
python kernels.py start SOCKET -f FILE      what Jupyter starts instead of a kernel; ends with the kernel
"""

import importlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from kickbert.utils import progress

IMPORTED = ("ipykernel.kernelapp", "kickbert.experiments.cross_validation", "kickbert.training.factories")


def serve(path: str) -> None:
    """Fork a kernel for each connection."""
    progress.interactive = lambda: False  # as in kernel.py, before other modules import it
    for name in IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombie processes
    _end_with(sys.stdin.buffer.read)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(64)
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _become_kernel(connection)
            connection.close()


def _end_with(wait: Callable[[], object]) -> None:
    """End this process as soon as a call returns."""

    def watch() -> None:
        wait()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _become_kernel(connection: socket.socket) -> None:
    """Take over the arguments, environment, folder, and standard streams of `start`."""
    from ipykernel.kernelapp import IPKernelApp

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, streams, *_ = socket.recv_fds(connection, 2**20, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    settings = json.loads(request)
    os.chdir(settings["folder"])
    os.environ.clear()
    os.environ.update(settings["environment"])
    os.environ.pop("JPY_PARENT_PID", None)  # its parent is another process: watch `start` instead
    _end_with(lambda: connection.recv(1))
    IPKernelApp.launch_instance(settings["arguments"])
    os._exit(0)


def start(path: str, arguments: list[str]) -> None:
    """Request a kernel and wait for its end."""
    with socket.socket(socket.AF_UNIX) as connection:
        _connect(connection, path)
        settings = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
        socket.send_fds(connection, [json.dumps(settings).encode()], [0, 1, 2])
        connection.recv(1)


def _connect(connection: socket.socket, path: str, seconds: float = 600.0) -> None:
    """Connect once the server listens, after it has imported everything."""
    end = time.monotonic() + seconds
    while True:
        try:
            return connection.connect(path)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        start(sys.argv[2], sys.argv[3:])
