"""A real server on loopback for tests: `kickbert serve` in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

import httpx
from conftest import REPO


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """`kickbert serve` with these arguments, until `stop`."""

    def __init__(self, *args):
        self.port = free_port()
        command = "from kickbert.cli.commands import main; main()"
        call = [sys.executable, "-c", command, "serve", *map(str, args), "--port", str(self.port)]
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPO)}
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe that nobody reads would fill and stop it
        self.process = subprocess.Popen(call, stdout=self.log, stderr=subprocess.STDOUT, env=env)
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=60)
        for _ in range(1200):
            try:
                if self.client.get("/ready").status_code == 200:
                    return
            except httpx.TransportError:
                assert self.process.poll() is None, self.told()
            time.sleep(0.1)
        self.process.kill()
        raise AssertionError(f"the service does not start: {self.told()}")

    def told(self) -> str:
        """What it has printed."""
        self.log.seek(0)
        return self.log.read()

    def stop(self, how: int = signal.SIGTERM) -> str:
        """Send a signal and wait for the end; what it has printed."""
        self.client.close()
        self.process.send_signal(how)
        self.process.wait(timeout=60)
        return self.told()
