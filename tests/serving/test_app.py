"""The service: a real server on loopback, asked as clients ask it."""

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
from helpers.serving import CSV, JSON, Server

import kickbert
from kickbert.models.artifact.versions import set_latest

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
    found = server.client.post("/label", content=csv.encode(), headers=CSV)
    assert (
        found.headers["X-Rows"] == "2" and found.headers["X-Without-Text"] == "1" and found.headers["X-Skipped"] == "1"
    )
    lines = found.text.splitlines()
    assert (
        lines[0] == "id,text,label,confidence,prob_bad,prob_good"
        and lines[1].startswith("007,")
        and lines[3] == "8,,,,,"
    )
    told = server.client.post("/label", content=b"a,b\n1,2\n", headers=CSV)
    assert told.status_code == 409 and told.json()["detail"] == "the file has no column 'text'; it has ['a', 'b']"


def test_formulas_in_a_file_are_harmless(server):
    answer = server.client.post("/label", content=b"text,n\n=1+1,-5\n@a,+x\n", headers=CSV)
    assert [line.split(",")[:2] for line in answer.text.splitlines()[1:]] == [["'=1+1", "-5"], ["'@a", "'+x"]]


def test_how_a_file_was_read_is_said(server):
    answer = server.client.post("/label", content="text;n\ncafé;1\ncrème;2\n".encode("cp1252"), headers=CSV)
    notes = json.loads(answer.headers["X-Notes"])
    assert answer.headers["X-Rows"] == "2" and notes[0].startswith("the file: detected ") and "';'" in notes[0]
    assert json.loads(server.client.post("/label", content=b"text\na\n", headers=CSV).headers["X-Notes"]) == []


def test_about_itself(server):
    about = server.client.get("/model").json()
    assert about["labels"] == ["bad", "good"] and about["card"].startswith("---") and about["version"] == "v1"
    assert about["name"] and about["encoder"] == "roberta, 2 layers" and about["examples"] == []
    assert set(about["metrics"]) and "rows" in about["evaluated_on"]
    assert server.client.get("/health").json() == {"status": "ok"}
    assert server.client.get("/ready").json() == {"status": "ready", "version": "v1"}
    metrics = server.client.get("/metrics").text
    assert re.search(r'kickbert_requests_total\{path="/ready",status="200"\} \d', metrics)
    assert f'kickbert_model{{backend="{about["backend"]}"' in metrics and "kickbert_queue_texts 0.0" in metrics


def test_one_text_by_either_name(server):
    answers = [server.client.post("/predict", json={name: "a bright film"}).json() for name in ("text", "texts")]
    assert answers[0] == answers[1] and answers[0]["predictions"][0]["label"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://a.proxy"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://{host}"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://{host}"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_pages_of_other_sites_can_make_it_do_nothing(server, headers, code):
    headers = {name: value.format(host=server.url.removeprefix("http://")) for name, value in headers.items()}
    assert server.client.post("/reload", headers=headers).status_code == code
    assert server.client.post("/label", content=b"text\na\n", headers=CSV | headers).status_code == code
    if code == 403:  # JSON needs a browser's question first, and there is no answer to it that would allow it
        assert server.client.post("/predict", content=b'"a"', headers=headers).status_code in (403, 422)
        assert server.client.options("/predict", headers=headers).status_code == 405


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"texts": []}', 422),
        (b"{", 422),
        (b"\xff\xfe", 400),
        (b'{"texts": ["\xff"]}', 400),
        (b'{"texts": 1}', 422),
        (b'{"text": ["a"]}', 422),
        (b'{"text": "a", "texts": "a"}', 422),
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
    answer = server.client.post("/predict", content=body, headers=JSON)
    assert answer.status_code == code and answer.json()["detail"]


def test_errors_do_not_repeat_the_input(server):
    answer = server.client.post("/predict", json={"texts": ["secret", 1] * 30, "x" * 1_000: 1})
    assert answer.status_code == 422 and "secret" not in answer.text and len(answer.content) < 4_000
    assert answer.json()["detail"][-1]["msg"].startswith("and ")
    answer = server.client.post("/predict", content=b"secret", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422 and "secret" not in answer.text


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
        return server.client.post("/predict", content=bytes(body), headers=JSON).status_code

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
    server = Server(served / "two", "--api-key", "secret", "--private-metrics", "--room", 50)
    key, ask = {"X-API-Key": "secret"}, {"texts": {"text": "a", "more": "b"}}
    try:
        for wrong in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": "sécret".encode()}, {"X-API-Key": ""}):
            assert server.client.post("/predict", json=ask, headers=wrong).status_code == 401
        assert server.client.post("/predict", json=ask, headers=key).status_code == 200
        assert server.client.post("/predict", json={"texts": ["a"]}, headers=key).status_code == 422
        for path, code in {"/health": 200, "/ready": 200, "/": 200}.items():
            assert server.client.get(path).status_code == code
        for path in ("/model", "/metrics", "/openapi.json"):
            assert [server.client.get(path, headers=h).status_code for h in ({}, key)] == [401, 200], path
        answer = server.client.post("/predict", json={"texts": [ask["texts"]] * 60}, headers=key)
        assert answer.status_code == 413 and answer.json()["detail"] == "60 texts; send 50 at most at a time"
    finally:
        log = server.stop()
    assert "POST /predict" in log and "more" not in log


def saved_model(learner, home) -> None:
    """A new version whose model card was edited, as people do."""
    with (learner.save_artifact(home) / "README.md").open("a", encoding="utf-8") as card:
        card.write("\nOurs.\n")


def test_a_reload_drops_no_request_and_a_stop_finishes_what_it_took(tiny, reviews, tmp_path):
    home = tmp_path / "k"
    learn = kickbert.learner_from_df(reviews, model=tiny, precision="fp32", path=tmp_path)
    saved_model(learn, home)
    server, stopped = Server(home, "--timeout", 60), threading.Event()
    versions = [[] for _ in range(4)]  # that each client was answered by: among clients answers may overtake each other
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
        wait_for_more(1)  # what was asked before may still be answered by the version before
        begun = [len(seen) for seen in versions]
        wait_for_more(10)
        other = kickbert.learner_from_df(reviews.replace("bad", "poor"), model=tiny, precision="fp32", path=tmp_path)
        other.save_artifact(home)
        refusal = server.client.post("/reload")
        assert refusal.status_code == 409 and "other columns or labels than v2" in refusal.json()["detail"]
        set_latest(home, "v2")
        (home / "v2" / "kickbert.json").write_text("{")
        assert server.client.post("/reload").status_code == 409  # and the one before goes on
        stopped.set()
        for one in asking:
            one.result()
    for seen, at in zip(versions, begun, strict=True):
        assert seen[0] == "v1" and seen == sorted(seen) and set(seen[at:]) == {"v2"}
    with ThreadPoolExecutor(4) as pool:  # taken before the signal, answered after it
        texts = [f"a bright film {j}" for j in range(900)]
        late = [pool.submit(client.post, "/predict", json={"texts": texts}) for client in clients]
        time.sleep(0.3)
        server.stop()
        assert [one.result().status_code for one in late] == [200] * 4
