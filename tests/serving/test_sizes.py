"""Requests of all sizes under the limit: answered within 5 s, with limited memory, without slowing others."""

import json
import shutil
import threading
import time

import numpy as np
import pandas as pd
import psutil
import pytest
from helpers.serving import CSV, JSON, Server, contention

import kickbert

LIMIT = 10 * 2**20
pytestmark = pytest.mark.system


@pytest.fixture(params=["torch", "onnx"])
def server(request, served, tmp_path):
    folder = shutil.copytree(served / "one", tmp_path / "one")
    if request.param == "onnx":
        rows = pd.DataFrame({"text": ["a bright, warm film", "a dull, cold film"], "label": ["good", "bad"]})
        kickbert.export(folder, rows, ["onnx"], force=True)
    server = Server(folder, "--backend", request.param)
    yield server
    server.stop()


def sized() -> dict[str, tuple[str, bytes]]:
    """Return a route and a body of each kind; most sizes are drawn between a tenth of the limit and the limit."""
    rng = np.random.default_rng(0)

    def filled(start: bytes, part: bytes, end: bytes = b"") -> bytes:
        size = int(rng.uniform(0.1, 0.99) * LIMIT)
        return start + part * ((size - len(start) - len(end)) // len(part)) + end

    depth, width = int(rng.integers(1, 1_000)), int(rng.integers(1, 5))
    keys = b",".join(b'"k%d":1' % i for i in range(int(rng.integers(100_000, 700_000))))
    texts = [rng.bytes(1_000).hex() for _ in range(int(rng.integers(500, 1_000)))]
    return {
        "texts": ("predict", json.dumps({"texts": texts}).encode()),
        "long texts": ("predict", json.dumps({"texts": ["word " * 19_000] * int(rng.integers(10, 100))}).encode()),
        "one text": ("predict", filled(b'{"texts":"', b"a" * width, b'"}')),
        "escapes": ("predict", filled(b'{"texts":"', b"\\u00e9" * width, b'"}')),
        "unclosed": ("predict", filled(b'{"texts":"', b'\\"')),
        "numbers": ("predict", filled(b'{"texts":[', b"1" * width + b",", b"1]}")),
        "empty texts": ("predict", filled(b'{"texts":[', b'"",', b'""]}')),
        "empty objects": ("predict", filled(b'{"texts":[', b"{},", b"{}]}")),
        "nested": ("predict", filled(b'{"texts":', b"[" * width)),
        "objects in objects": ("predict", filled(b'{"texts":[', b'{"":{}},', b"{}]}")),
        "nested less": ("predict", b'{"texts":' + b'{"text":' * depth + b"1" + b"}" * (depth + 1)),
        "digits": ("predict", filled(b'{"texts":', b"1", b"}")),
        "a long key": ("predict", filled(b'{"texts":"a","', b"k", b'":1}')),
        "many keys": ("predict", b"{" + keys + b"}"),
        "explained": ("explain", json.dumps({"text": "word " * int(rng.integers(1_000, 19_000))}).encode()),
        "columns": ("predict/file", filled(b"text", b",a" * width, b"\nfilm")),
        "rows": ("predict/file", filled(b"text\n", b"a\n")),
        "a cell": ("predict/file", filled(b"text\n", b"a" * width)),
        "a quote": ("predict/file", filled(b'text\n"', b"a\n")),
        "cells": ("predict/file", b"text" + b",a" * 900 + b"\n" + b",".join([b"b"] * 901) + b"\n"),
    }


def test_requests_of_any_size_are_harmless(server):
    process = psutil.Process(server.process.pid)
    server.client.post("/predict", json={"texts": ["a film"]})
    idle = process.memory_info().rss
    stop, memory, waits, slower = threading.Event(), [idle], [], [contention()]

    def watch():
        while not stop.wait(0.02):
            waits.append(server.client.get("/health").elapsed.total_seconds())
            memory.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for name, (route, body) in sized().items():
            assert len(body) < LIMIT, name
            start = time.perf_counter()
            answer = server.client.post(f"/{route}", content=body, headers=CSV if route == "predict/file" else JSON)
            seconds = time.perf_counter() - start
            slower.append(contention())
            assert seconds < 5 * max(slower[-2:]), name
            assert answer.status_code in (200, 400, 413, 422, 504), (name, answer.text[:200])
            assert answer.status_code == 200 or len(answer.content) < 20_000, name
    finally:
        stop.set()
        watcher.join()
    assert max(memory) < 2 * idle and max(waits) < max(slower), (idle, max(memory), max(waits), max(slower))
    assert server.client.post("/predict", json={"texts": "a"}).status_code == 200
