"""The server: what surrounds a body is bounded, and a stop lets work end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")
from helpers.serving import CSV, JSON, Server, contention

from kickbert.serving import server as module

ASK = b'{"texts":"a film"}'
POST = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def server(served):
    made = Server(served / "one", "--timeout", 30)
    yield made
    made.stop()


def answer(connection: socket.socket) -> bytes:
    """What comes back until the other side closes, or nothing more comes for a second."""
    connection.settimeout(1)
    content = b""
    with suppress(TimeoutError, ConnectionResetError):
        while part := connection.recv(2**16):
            content += part
    return content


def flood(connection: socket.socket, part: bytes, most: int = 2**24) -> int:
    """How many bytes are taken before the connection is closed, or nothing is taken for two seconds."""
    connection.settimeout(2)
    sent = 0
    with suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
        while sent < most:
            sent += connection.send(part)
    return sent


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"GET /", b"a" * 2**14),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ", b"a" * 2**14),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X-Many: a\r\n" * 1_000),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"X-Trailer: a\r\n" * 1_000),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1;extension=long\r\na\r\n" * 1_000),
    ],
    ids=["path", "one header", "many headers", "trailers", "single bytes"],
)
def test_headers_without_end_are_cut_off(server, start, part):
    with server.connect() as connection:
        connection.sendall(start)
        assert flood(connection, part) < 2**23  # what sockets and one read hold, far from 16 MiB
    assert server.client.get("/health").status_code == 200


def test_headers_that_are_too_large_are_told_so(server):
    with server.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nCookie: ")
        for _ in range(5):
            connection.sendall(b"a" * 2**14)
            time.sleep(0.05)
        assert answer(connection).startswith(b"HTTP/1.1 431 ")


def test_pipelined_requests_are_answered_in_their_order(server):
    ask = POST + b"Content-Length: %d\r\n\r\n%b" % (len(ASK), ASK)
    with server.connect() as connection:
        connection.sendall(
            ask + b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" + ask + b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        content = answer(connection)
    assert content.count(b"HTTP/1.1 200") == 3 and content.index(b'"ok"') > content.index(b'"predictions"')
    assert content.rindex(b"HTTP/1.1 404") > content.rindex(b'"predictions"')


def test_a_client_that_sends_and_never_reads_leaves_room_for_others(server):
    with server.connect() as connection:
        thread = threading.Thread(target=flood, args=(connection, HEALTH * 100, 2**20))
        thread.start()
        slowest = max(server.client.get("/health").elapsed.total_seconds() for _ in range(20))
        thread.join()
    assert slowest < contention()


def test_slow_clients_do_not_keep_others_waiting(server):
    slow = [server.connect() for _ in range(100)]
    try:
        for i, connection in enumerate(slow):
            connection.sendall((POST + b"Content-Length: 1000\r\n\r\n{")[: 20 + i])
        start = time.perf_counter()
        assert server.client.post("/predict", content=ASK, headers=JSON).status_code == 200
        assert time.perf_counter() - start < 5 * contention()
    finally:
        for connection in slow:
            connection.close()


class Transport:
    """A transport that remembers what was done with it."""

    closed, written = False, b""

    def get_extra_info(self, name, default=None):
        return default

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def write(self, data):
        self.written += data

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


def test_headers_have_a_time(monkeypatch):
    import uvicorn
    from uvicorn.server import ServerState

    monkeypatch.setattr(module, "HEAD_SECONDS", 0.1)

    async def waiting(scope, receive, send):
        await asyncio.sleep(10)

    async def closed_after(*parts: bytes) -> bool:
        config = uvicorn.Config(waiting, http=module.Connection, lifespan="off", log_config=None)
        connection, transport = module.Connection(config, ServerState(), {}), Transport()
        connection.connection_made(transport)
        for part in parts:
            connection.data_received(part)
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)
        for task in connection.tasks:
            task.cancel()
        return transport.closed

    async def main():
        assert await closed_after()
        assert await closed_after(b"GET / HTTP/1.1\r\n", b"Host: a\r\n", b"X: y\r\n")
        assert not await closed_after(b"GET / HTTP/1.1\r\n", b"Host: a\r\n\r\n")  # an answer may take longer
        assert not await closed_after(POST + b"Content-Length: 5\r\n\r\n", b"abc")  # a body has a time of its own

    asyncio.run(main())


def test_a_stop_answers_a_file_that_takes_too_long(served):
    server = Server(served / "one", "--max-rows", 1_000_000, "--timeout", 1)
    rows = b"text\n" + b"".join(b"a bright and warm film no %d\n" % i for i in range(300_000))
    with ThreadPoolExecutor() as pool:
        long = pool.submit(server.client.post, "/label", content=rows, headers=CSV)
        time.sleep(1)
        start = time.perf_counter()
        server.signal()
        assert server.process.wait(30) in (0, -signal.SIGTERM) and time.perf_counter() - start < 15
        assert long.result().status_code == 503 and "being stopped" in long.result().json()["detail"]
    assert "Traceback" not in server.output()


def output_of(arguments: list, env: dict | None = None) -> subprocess.CompletedProcess:
    """What `kickbert serve` prints of these arguments, when the model does not exist."""
    call = [sys.executable, "-c", "from kickbert.cli.commands import main; main()", "serve", "/none", *arguments]
    return subprocess.run(call, capture_output=True, text=True, timeout=60, env=os.environ | (env or {}))


@pytest.mark.parametrize(
    ("arguments", "env"), [(["--api-key", ""], {}), ([], {"KICKBERT_API_KEY": ""}), ([], {"KICKBERT_API_KEY": " "})]
)
def test_an_empty_key_is_refused_at_the_start(arguments, env):
    done = output_of(arguments, env)
    assert done.returncode == 1 and done.stderr.startswith("error: an API key of ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "key", "warned"), [("0.0.0.0", None, True), ("0.0.0.0", "secret", False), ("::1", None, False)]
)
def test_beyond_loopback_without_a_key_a_line_says_so(served, monkeypatch, capsys, host, key, warned):
    monkeypatch.setattr(module.Server, "run", lambda self: None)
    module.serve(module.Settings(served / "one", api_key=key), host, 1)
    assert ("warning: whoever reaches" in capsys.readouterr().err) == warned
