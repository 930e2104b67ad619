"""The application, called in this process."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.serving import CSV, JSON

import kickbert
from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.serving import Settings, create_app
from kickbert.serving.schemas import PredictionResponse
from kickbert.text.tokenization import SEP


def test_predict_matches_the_predictor(client, served):
    model, texts = kickbert.load(served / "one"), ["a bright, warm film", "a dull, cold film", "Ünïcödé 😀"]
    answer = client.post("/predict", json={"texts": texts}).json()
    PredictionResponse.model_validate(answer, strict=True)
    assert answer["version"] == "v1" and [p["label"] for p in answer["predictions"]] == model.predict(texts)
    probs = [[p["probabilities"][name] for name in model.labels] for p in answer["predictions"]]
    np.testing.assert_allclose(probs, model.predict_proba(texts), atol=0.02)  # bf16 in other batches
    one = client.post("/predict", json={"texts": texts[0], "min_confidence": 1.0}).json()["predictions"]
    assert one[0]["label"] is None and one[0]["confidence"] < 1
    assert client.post("/predict", json={"texts": [""]}).json()["predictions"][0]["label"] is None


def test_text_and_texts_are_equivalent(client):
    answers = [client.post("/predict", json={name: "a bright film"}).json() for name in ("text", "texts")]
    assert answers[0] == answers[1] and answers[0]["predictions"][0]["label"]


def test_a_text_of_separators_does_not_disturb_other_requests(client, served):
    model, innocent = kickbert.load(served / "one"), "a bright, warm film"
    hostile = [SEP * 600, SEP * 4_000, f"{SEP} film {SEP}" * 300, "\x00" * 600, "[SEP]" * 600, "</s>" * 600]
    with ThreadPoolExecutor(8) as pool:
        texts = [text for other in hostile for text in (other, innocent, innocent)]
        answers = list(pool.map(lambda text: client.post("/predict", json={"text": text}), texts))
    assert [answer.status_code for answer in answers] == [200] * len(texts)
    labels = [answer.json()["predictions"][0]["label"] for answer in answers]
    assert {labels[i] for i, text in enumerate(texts) if text == innocent} == {model.predict(innocent)}


def test_explain(client):
    answer = client.post("/explain", json={"text": "a bright, warm film", "label": "good"}).json()
    assert [w["word"] for w in answer["words"]] == ["a", "bright,", "warm", "film"] and answer["label"] == "good"
    assert client.post("/explain", json={"text": "a film", "label": "none"}).status_code == 422
    assert client.post("/explain", json={"text": "  "}).json() == {
        "label": None,
        "value": None,
        "words": [],
        "columns": [],
    }


def test_predict_a_file(client):
    csv = 'id,text\n007,"a bright,\nwarm film"\n8,\n9,a,b,c\n'
    answer = client.post("/predict/file", content=csv.encode(), headers=CSV)
    assert [answer.headers[name] for name in ("X-Rows", "X-Without-Text", "X-Skipped")] == ["2", "1", "1"]
    lines = answer.text.splitlines()
    assert lines[0] == "id,text,predicted_label,confidence,prob_bad,prob_good"
    assert lines[1].startswith("007,") and lines[3] == "8,,,,,"
    refused = client.post("/predict/file", content=b"a,b\n1,2\n", headers=CSV)
    assert refused.status_code == 409 and "no column 'text'" in refused.json()["detail"]
    assert client.post("/predict/file", content=b"text\n" + b"a" * 6_000, headers=CSV).status_code == 413


def test_formulas_in_a_file_are_escaped(client):
    answer = client.post("/predict/file", content=b"text,n\n=1+1,-5\n@a,+x\n", headers=CSV)
    assert [line.split(",")[:2] for line in answer.text.splitlines()[1:]] == [["'=1+1", "-5"], ["'@a", "'+x"]]


def test_notes_say_how_a_file_was_read(client):
    answer = client.post("/predict/file", content="text;n\ncafé;1\ncrème;2\n".encode("cp1252"), headers=CSV)
    notes = json.loads(answer.headers["X-Notes"])
    assert answer.headers["X-Rows"] == "2" and notes[0].startswith("the file: detected ") and "';'" in notes[0]
    assert json.loads(client.post("/predict/file", content=b"text\na\n", headers=CSV).headers["X-Notes"]) == []


def test_the_service_describes_itself(client):
    about = client.get("/model").json()
    assert about["labels"] == ["bad", "good"] and about["card"].startswith("---") and about["version"] == "v1"
    assert about["name"] == "one" and about["encoder"] == "roberta, 2 layers" and about["examples"] == []
    assert about["metrics"] and "rows" in about["evaluated_on"]
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready", "version": "v1"}
    page = client.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'none'") and "<main>" in page.text
    metrics = client.get("/metrics").text
    assert re.search(r'kickbert_requests_total\{path="/ready",status="200"\} \d', metrics)
    assert f'kickbert_model{{backend="{about["backend"]}",name="one"' in metrics
    assert "kickbert_queue_texts 0.0" in metrics


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://a.proxy"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://testserver"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_pages_of_other_sites_are_refused(client, headers, code):
    assert client.post("/reload", headers=headers).status_code == code
    assert client.post("/predict/file", content=b"text\na\n", headers=CSV | headers).status_code == code
    if code == 403:  # for JSON, the browser asks first, and no answer allows it
        assert client.post("/predict", content=b'"a"', headers=headers).status_code in (403, 422)
        assert client.options("/predict", headers=headers).status_code == 405


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", 422),
        (b"\xff\xfe", 400),
        (b'{"texts": ["\xff"]}', 400),
        (b'"' + b"a" * 100 + b"[" * 5_000, 422),
        (b"[" * 300 + b"]" * 300, 422),
        (b'{"texts": ' + b"1" * 10_000 + b"}", 400),
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
        (b"[" * 1_000, 413),
        (json.dumps({"texts": "a" * 6_000}).encode(), 422),
        (json.dumps({"texts": ["a"] * 65}).encode(), 422),
        (json.dumps({"texts": ["a" * 4_000] * 64}).encode(), 413),
    ],
)
def test_bad_requests(client, body, code):
    answer = client.post("/predict", content=body, headers=JSON)
    assert answer.status_code == code and answer.json()["detail"]


def test_no_texts_is_one_short_error(client):
    (error,) = client.post("/predict", json={"texts": []}).json()["detail"]
    assert error["msg"] == "texts is empty" and error["loc"] == ["body", "texts"]


def test_errors_do_not_repeat_the_input(client):
    answer = client.post("/predict", json={"texts": ["secret", 1] * 30, "x" * 1_000: 1})
    assert answer.status_code == 422 and "secret" not in answer.text and len(answer.content) < 4_000
    assert answer.json()["detail"][-1]["msg"].startswith("and ")
    answer = client.post("/predict", content=b"secret", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422 and "secret" not in answer.text


def test_a_body_of_unknown_length_is_limited_too(client):
    answer = client.post("/predict", content=(b" " * 10_000 for _ in range(100)))
    assert answer.status_code == 413 and "over 200,000 bytes" in answer.json()["detail"]


def test_unknown_paths(client):
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/x", "/docs", "/label"):
        assert client.get(path).status_code == 404
    assert client.get("/predict").status_code == 405


def test_malformed_requests(client):
    rng = np.random.default_rng(0)
    good = json.dumps({"texts": ["a bright, warm film"], "min_confidence": 0.5}).encode()
    codes = set()
    for _ in range(100):
        body = bytearray(good)
        for _ in range(3):
            body[rng.integers(len(body))] = int(rng.integers(256))
        codes.add(client.post("/predict", content=bytes(body), headers=JSON).status_code)
    assert codes <= {200, 400, 422} and len(codes) > 1
    assert client.post("/predict", json={"texts": "a"}).status_code == 200


def test_two_columns_and_a_key(keyed):
    key, body = {"X-API-Key": "secret"}, {"texts": {"text": "a", "more": "b"}}
    for wrong in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": "sécret".encode()}, {"X-API-Key": ""}):
        assert keyed.post("/predict", json=body, headers=wrong).status_code == 401
    assert keyed.post("/predict", json=body, headers=key).status_code == 200
    assert keyed.post("/predict", json={"texts": ["a"]}, headers=key).status_code == 422
    for path in ("/health", "/ready", "/"):
        assert keyed.get(path).status_code == 200
    for path in ("/model", "/metrics", "/openapi.json"):
        assert [keyed.get(path, headers=h).status_code for h in ({}, key)] == [401, 200], path
    answer = keyed.post("/predict", json={"texts": [body["texts"]] * 60}, headers=key)
    assert answer.status_code == 422 and "at most 50 items" in answer.json()["detail"][0]["msg"]


def test_models_of_other_columns_or_the_same_name_are_refused(served):
    with pytest.raises(ArtifactError, match=r"two reads \['text', 'more'\], and one reads \['text'\]"):
        create_app(Settings([served / "one", served / "two"]))
    with pytest.raises(ValueError, match="two models are named 'one'"):
        create_app(Settings([served / "one", served / "one"]))
