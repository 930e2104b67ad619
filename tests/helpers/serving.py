"""A real server on loopback for tests: `kickbert serve`, or `kickbert label`, in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

import httpx
from conftest import REPO

JSON, CSV = {"Content-Type": "application/json"}, {"Content-Type": "text/csv"}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def contention() -> float:
    """How many times longer work takes because of other load, at least 1."""
    start, used = time.perf_counter(), time.thread_time()
    while time.thread_time() - used < 0.1:
        pass
    return max(1.0, (time.perf_counter() - start) / 0.1)


class Server:
    """`kickbert serve`, or another command, with these arguments, until `stop`.

    Args:
        env: additional environment variables.
    """

    def __init__(self, *args, command: str = "serve", port: int | None = None, env: dict[str, str] | None = None):
        self.port = port or free_port()
        code = "from kickbert.cli.commands import main; main()"
        call = [sys.executable, "-c", code, command, *map(str, args), "--port", str(self.port)]
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPO)} | (env or {})
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - an unread pipe would fill and block it
        self.process = subprocess.Popen(call, stdout=self.log, stderr=subprocess.STDOUT, env=env)
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=60)
        for _ in range(1200):
            try:
                if self.client.get("/ready").status_code == 200:
                    return
            except httpx.TransportError:
                assert self.process.poll() is None, self.output()
            time.sleep(0.1)
        self.process.kill()
        raise AssertionError(f"the service does not start: {self.output()}")

    def output(self) -> str:
        """What it has printed."""
        self.log.seek(0)
        return self.log.read()

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Stop it by a signal, wait for its end, and return its output."""
        self.client.close()
        self.signal(number)
        self.process.wait(timeout=60)
        return self.output()

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal."""
        self.process.send_signal(number)
