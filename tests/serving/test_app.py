"""The service: a real server on loopback, asked as clients ask it."""

import asyncio
import json
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from serving import Server

import kickbert
from kickbert.models.artifact import set_latest
from kickbert.serving.batcher import Batcher, QueueFull

pytest.importorskip("fastapi", reason="the extra kickbert[serve] is not installed")


@pytest.fixture(scope="module")
def server(served):
    made = Server(served / "one", "--max-chars", 5_000, "--max-texts", 64, "--max-body", 200_000)
    yield made
    made.stop()


def test_it_says_what_the_predictor_says(server, served):
    model, texts = kickbert.load(served / "one"), ["a bright, warm film", "a dull, cold film", "Ünïcödé 😀"]
    found = server.client.post("/predict", json={"texts": texts}).json()
    assert found["version"] == "v1" and [p["label"] for p in found["predictions"]] == model.predict(texts)
    probs = [[p["probabilities"][name] for name in model.labels] for p in found["predictions"]]
    np.testing.assert_allclose(probs, model.predict_proba(texts), atol=0.02)  # bf16 in other batches
    one = server.client.post("/predict", json={"texts": texts[0], "min_confidence": 1.0}).json()["predictions"]
    assert one[0]["label"] is None and one[0]["confidence"] < 1
    assert server.client.post("/predict", json={"texts": [""]}).json()["predictions"][0]["label"] is None


def test_words_for_and_against(server):
    found = server.client.post("/explain", json={"text": "a bright, warm film", "label": "good"}).json()
    assert [w["word"] for w in found["words"]] == ["a", "bright,", "warm", "film"] and found["label"] == "good"
    assert server.client.post("/explain", json={"text": "a film", "label": "none"}).status_code == 422
    assert server.client.post("/explain", json={"text": "  "}).json() == {"label": None, "value": None, "words": []}


def test_a_file(server):
    csv = 'id,text\n007,"a bright,\nwarm film"\n8,\n9,a,b,c\n'
    found = server.client.post("/label", content=csv.encode(), headers={"Content-Type": "text/csv"})
    assert (
        found.headers["X-Rows"] == "2" and found.headers["X-Without-Text"] == "1" and found.headers["X-Skipped"] == "1"
    )
    lines = found.text.splitlines()
    assert (
        lines[0] == "id,text,label,confidence,prob_bad,prob_good"
        and lines[1].startswith("007,")
        and lines[3] == "8,,,,,"
    )
    told = server.client.post("/label", content=b"a,b\n1,2\n", headers={"Content-Type": "text/csv"})
    assert told.status_code == 409 and told.json()["detail"] == "has no column 'text'; it has ['a', 'b']"


def test_about_itself(server):
    about = server.client.get("/model").json()
    assert about["labels"] == ["bad", "good"] and about["card"].startswith("---") and about["version"] == "v1"
    assert server.client.get("/health").json()["status"] == "ok"
    told = server.client.get("/metrics").text
    assert re.search(r'kickbert_requests_total\{path="/ready",status="200"\} \d', told)
    assert f'kickbert_model{{backend="{about["backend"]}"' in told and "kickbert_queue_texts 0.0" in told


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"texts": []}', 422),
        (b"{", 422),
        (b"\xff\xfe", 422),
        (b'{"texts": ["\xff"]}', 400),
        (b'{"texts": 1}', 422),
        (b'{"texts": [null]}', 422),
        (b'{"texts": ["a"], "extra": 1}', 422),
        (b'{"texts": {"text": "a", "more": "b"}}', 422),
        (b'{"texts": "a", "min_confidence": 2}', 422),
        (b'{"texts": "a", "min_confidence": "0.5"}', 422),
        (b"[]", 422),
        (b"", 422),
        (json.dumps({"texts": "a" * 6_000}).encode(), 413),
        (json.dumps({"texts": ["a"] * 65}).encode(), 413),
        (json.dumps({"texts": ["a" * 4_000] * 64}).encode(), 413),
    ],
)
def test_bad_requests(server, body, code):
    found = server.client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert found.status_code == code and found.json()["detail"]


def test_a_body_of_unknown_length_is_cut_off_too(server):
    found = server.client.post("/predict", content=(b" " * 10_000 for _ in range(100)))
    assert found.status_code == 413 and "over 200,000 bytes" in found.json()["detail"]


def test_paths_that_are_none(server):
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/x", "/docs"):
        assert server.client.get(path).status_code == 404
    assert server.client.get("/predict").status_code == 405


def test_malformed_requests(server):
    rng = np.random.default_rng(0)
    good = json.dumps({"texts": ["a bright, warm film"], "min_confidence": 0.5}).encode()

    def ask(seed: int) -> int:
        body = bytearray(good)
        for _ in range(3):
            body[rng.integers(len(body))] = int(rng.integers(256))
        return server.client.post(
            "/predict", content=bytes(body), headers={"Content-Type": "application/json"}
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = set(pool.map(ask, range(2_000)))
    assert codes <= {200, 400, 422} and len(codes) > 1
    assert server.client.post("/predict", json={"texts": "a"}).status_code == 200


def test_the_contract_holds(server, tmp_path):
    """schemathesis makes requests of all kinds from the service's own description, and holds its answers against it."""
    described = f"http://127.0.0.1:{server.port}/openapi.json"
    how = ["--max-examples", "25", "--seed", "1", "--no-color", "--workers", "1"]
    call = [sys.executable, "-m", "schemathesis.cli", "run", described, *how]
    done = subprocess.run(call, capture_output=True, text=True, timeout=280, cwd=tmp_path)  # it leaves a cache there
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]


def test_two_columns_and_a_key(served):
    server = Server(served / "two", "--api-key", "secret")
    try:
        ask = {"texts": {"text": "a", "more": "b"}}
        assert server.client.post("/predict", json=ask).status_code == 401
        assert server.client.post("/predict", json=ask, headers={"X-API-Key": "wrong"}).status_code == 401
        assert server.client.post("/predict", json=ask, headers={"X-API-Key": "sécret".encode()}).status_code == 401
        key = {"X-API-Key": "secret"}
        assert server.client.post("/predict", json=ask, headers=key).status_code == 200
        told = server.client.post("/predict", json={"texts": ["a"]}, headers=key)
        assert told.status_code == 422
        told = server.client.get("/health"), server.client.get("/model")
        assert [t.status_code for t in told] == [200, 401]
    finally:
        log = server.stop()
    assert "POST /predict" in log and "more" not in log


def test_a_reload_drops_no_request_and_a_stop_finishes_what_it_took(tiny, reviews, tmp_path):
    home = tmp_path / "k"
    learn = kickbert.learner_from_df(reviews, model=tiny, precision="fp32", path=tmp_path)
    learn.save_artifact(home)
    server, codes, going = Server(home), [], threading.Event()

    def ask(client: httpx.Client) -> None:
        while not going.is_set():
            codes.append(client.post("/predict", json={"texts": ["a bright film"] * 8}).json()["version"])

    with ThreadPoolExecutor(4) as pool:
        clients = [httpx.Client(base_url=server.client.base_url, timeout=60) for _ in range(4)]
        asked = [pool.submit(ask, client) for client in clients]
        while len(codes) < 20:
            time.sleep(0.01)
        learn.save_artifact(home)
        assert server.client.post("/reload").json() == {"status": "reloaded", "version": "v2"}
        at = len(codes)
        while len(codes) < at + 40:
            time.sleep(0.01)
        other = kickbert.learner_from_df(reviews.replace("bad", "poor"), model=tiny, precision="fp32", path=tmp_path)
        other.save_artifact(home)
        told = server.client.post("/reload")
        assert told.status_code == 409 and "other columns or labels than v2" in told.json()["detail"]
        set_latest(home, "v2")
        (home / "v2" / "kickbert.json").write_text("{")
        assert server.client.post("/reload").status_code == 409  # and the one before goes on
        going.set()
        for one in asked:
            one.result()
    assert codes[0] == "v1" and codes[-1] == "v2" and codes == sorted(codes)
    with ThreadPoolExecutor(4) as pool:  # taken before the signal, answered after it
        late = [
            pool.submit(clients[i].post, "/predict", json={"texts": [f"{i} {j}" for j in range(900)]}) for i in range(4)
        ]
        time.sleep(0.3)
        server.stop()
        assert [one.result().status_code for one in late] == [200] * 4


def test_batches_gather_and_the_queue_is_bounded():
    sizes, gate = [], threading.Event()

    def answer(texts):
        gate.wait(5)
        sizes.append(len(texts))
        return np.array([float(t) for t in texts])

    async def main():
        batcher = Batcher(answer, most=8, wait=0.01, room=20)
        batcher.start()
        first = asyncio.create_task(batcher(["0"]))
        await asyncio.sleep(0.05)  # it is being answered
        others = [asyncio.create_task(batcher([str(i), str(i)])) for i in range(1, 11)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await batcher(["1", "2", "3"])
        others[-1].cancel()
        gate.set()
        assert (await first).tolist() == [0]
        found = [(await one).tolist() for one in others[:-1]]
        assert found == [[i, i] for i in range(1, 10)]
        await batcher.stop()

    asyncio.run(main())
    assert sizes[0] == 1 and sum(sizes) == 19 and max(sizes) == 8


def test_an_error_of_the_model_reaches_those_who_asked():
    def answer(texts):
        raise RuntimeError("no")

    async def main():
        batcher = Batcher(answer)
        batcher.start()
        with pytest.raises(RuntimeError, match="no"):
            await batcher(["a"])
        await batcher.stop()

    asyncio.run(main())
