"""A real server on loopback: it limits headers and bodies, drops no request, and finishes work at shutdown."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest
from helpers.serving import CSV, JSON, Server, contention

import kickbert
from kickbert.models.artifact.versions import set_latest
from kickbert.serving import server as module

BODY = b'{"texts":"a film"}'
POST = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
system = pytest.mark.system


@pytest.fixture(scope="module")
def server(served):
    server = Server(served / "one", "--timeout", 30)
    yield server
    assert "a film" not in server.stop()  # no text is logged


def answer(connection: socket.socket) -> bytes:
    """Return what arrives until the other side closes, or nothing arrives for a second."""
    connection.settimeout(1)
    content = b""
    with suppress(TimeoutError, ConnectionResetError):
        while part := connection.recv(2**16):
            content += part
    return content


def flood(connection: socket.socket, part: bytes, size: int = 2**24) -> int:
    """Return how many bytes are accepted before the connection is closed, or nothing is accepted for two seconds."""
    connection.settimeout(2)
    sent = 0
    with suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
        while sent < size:
            sent += connection.send(part)
    return sent


@system
@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"GET /", b"a" * 2**14),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ", b"a" * 2**14),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X-Many: a\r\n" * 1_000),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"X-Trailer: a\r\n" * 1_000),
    ],
    ids=["path", "one header", "many headers", "trailers"],
)
def test_endless_headers_are_refused(server, start, part):
    with server.connect() as connection:
        connection.sendall(start)
        assert flood(connection, part) < 2**23  # the size of socket buffers, not 16 MiB
    assert server.client.get("/health").status_code == 200


@system
def test_pipelined_requests_are_answered_in_order(server):
    request = POST + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
    with server.connect() as connection:
        connection.sendall(request + HEALTH + request + HEALTH.replace(b"health", b"none"))
        content = answer(connection)
    assert content.count(b"HTTP/1.1 200") == 3 and content.index(b'"ok"') > content.index(b'"predictions"')
    assert content.rindex(b"HTTP/1.1 404") > content.rindex(b'"predictions"')


@system
@pytest.mark.parametrize(
    ("start", "part"),
    [(b"", HEALTH * 100), (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1;extension=long\r\na\r\n" * 100)],
    ids=["requests without reading the answers", "chunks of one byte"],
)
def test_a_flooding_client_does_not_slow_others(server, start, part):
    with server.connect() as connection:
        connection.sendall(start)
        thread = threading.Thread(target=flood, args=(connection, part, 2**20))
        thread.start()
        slowest = max(server.client.get("/health").elapsed.total_seconds() for _ in range(20))
        thread.join()
    assert slowest < contention()


@system
def test_slow_clients_do_not_slow_others(server):
    slow = [server.connect() for _ in range(100)]
    try:
        for i, connection in enumerate(slow):
            connection.sendall((POST + b"Content-Length: 1000\r\n\r\n{")[: 20 + i])
        start = time.perf_counter()
        assert server.client.post("/predict", content=BODY, headers=JSON).status_code == 200
        assert time.perf_counter() - start < 5 * contention()
    finally:
        for connection in slow:
            connection.close()


@system
def test_the_openapi_description_is_true(server, tmp_path):
    """schemathesis sends requests of all kinds from the description, and compares the answers with it."""
    url = f"http://127.0.0.1:{server.port}/openapi.json"
    options = ["--max-examples", "25", "--seed", "1", "--no-color", "--workers", "1"]
    call = [sys.executable, "-m", "schemathesis.cli", "run", url, *options]
    done = subprocess.run(call, capture_output=True, text=True, timeout=280, cwd=tmp_path)  # it leaves a cache there
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]


@system
def test_a_shutdown_ends_a_long_file(served):
    server = Server(served / "one", "--max-rows", 1_000_000, "--timeout", 1)
    rows = b"text\n" + b"".join(b"a bright and warm film no %d\n" % i for i in range(300_000))
    with ThreadPoolExecutor() as pool:
        long = pool.submit(server.client.post, "/predict/file", content=rows, headers=CSV)
        time.sleep(1)
        start = time.perf_counter()
        server.signal()
        assert server.process.wait(30) in (0, -signal.SIGTERM) and time.perf_counter() - start < 15
        assert long.result().status_code == 503 and "shutting down" in long.result().json()["detail"]
    assert "Traceback" not in server.output()


def saved_model(learner, home) -> None:
    """Save a new version, with an edited model card."""
    with (learner.save_artifact(home) / "README.md").open("a", encoding="utf-8") as card:
        card.write("\nOurs.\n")


@system
def test_a_reload_drops_no_request_and_a_shutdown_finishes_accepted_ones(tiny, reviews, tmp_path):
    home = tmp_path / "k"
    learn = kickbert.learner_from_df(reviews, model=tiny, precision="fp32", path=tmp_path)
    saved_model(learn, home)
    server, stopped = Server(home, "--timeout", 60), threading.Event()
    versions = [[] for _ in range(4)]  # by client: answers to different clients may overtake each other
    clients = [httpx.Client(base_url=server.url, timeout=60) for _ in versions]

    def ask(client: httpx.Client, seen: list[str]) -> None:
        while not stopped.is_set():
            seen.append(client.post("/predict", json={"texts": ["a bright film"] * 8}).json()["version"])

    def wait_for_more(count: int) -> None:
        ends = [len(seen) + count for seen in versions]
        while any(len(seen) < end for seen, end in zip(versions, ends, strict=True)):
            assert not any(one.done() for one in asking), [one.exception() for one in asking if one.done()]
            time.sleep(0.01)

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, client, seen) for client, seen in zip(clients, versions, strict=True)]
        wait_for_more(5)
        saved_model(learn, home)
        assert server.client.post("/reload").json() == {"status": "reloaded", "version": "v2"}
        assert server.client.get("/model").json()["card"].endswith("\nOurs.\n")
        wait_for_more(1)  # a request in progress may still be answered by the version before
        reloaded = [len(seen) for seen in versions]
        wait_for_more(10)
        set_latest(home, "v2")
        (home / "v2" / "kickbert.json").write_text("{")
        assert server.client.post("/reload").status_code == 409  # and the running version stays
        stopped.set()
        for one in asking:
            one.result()
    for seen, start in zip(versions, reloaded, strict=True):
        assert seen[0] == "v1" and seen == sorted(seen) and set(seen[start:]) == {"v2"}
    with ThreadPoolExecutor(4) as pool:  # accepted before the signal, answered after it
        texts = [f"a bright film {j}" for j in range(900)]
        late = [pool.submit(client.post, "/predict", json={"texts": texts}) for client in clients]
        time.sleep(0.3)
        server.stop()
        assert [one.result().status_code for one in late] == [200] * 4


@system
def test_an_empty_key_is_refused_at_the_start():
    code = "from kickbert.cli.commands import main; main()"
    env = os.environ | {"KICKBERT_API_KEY": ""}
    call = [sys.executable, "-c", code, "serve", "/none"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 1 and done.stderr.startswith("error: the API key ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "key", "warned"), [("0.0.0.0", None, True), ("0.0.0.0", "secret", False), ("::1", None, False)]
)
def test_a_public_address_without_a_key_causes_a_warning(served, monkeypatch, capsys, host, key, warned):
    monkeypatch.setattr(module.Server, "run", lambda self: None)
    module.serve(module.Settings(served / "one", api_key=key), host, 1)
    assert ("warning: anyone who can reach" in capsys.readouterr().err) == warned
