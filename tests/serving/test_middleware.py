"""Middleware, called as a server calls it: bodies that are too large or too slow, and counts."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from kickbert.serving.middleware import BodyLimit, RequestMetrics
from kickbert.serving.telemetry import Telemetry


def call(app, messages, headers=()):
    """Return what an application sends for these messages; after the last one, no message arrives."""
    sent, left = [], list(messages)

    async def receive():
        return left.pop(0) if left else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": list(headers), "route": SimpleNamespace(path="/predict")}
    asyncio.run(asyncio.wait_for(app(scope, receive, send), 10))
    return sent


def body(content: bytes, more: bool = False) -> dict:
    return {"type": "http.request", "body": content, "more_body": more}


async def echo(scope, receive, send):
    content, more = b"", True
    while more:
        message = await receive()
        content, more = content + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": content})


def test_a_body_within_the_limit_passes():
    sent = call(BodyLimit(echo, 10), [body(b"12345", more=True), body(b"67890")])
    assert sent[0]["status"] == 200 and sent[1]["body"] == b"1234567890"


@pytest.mark.parametrize(
    ("messages", "headers"),
    [([], [(b"content-length", b"11")]), ([body(b"123456", more=True), body(b"78901")], [])],
    ids=["announced", "not announced"],
)
def test_a_body_over_the_limit_is_refused_once(messages, headers):
    sent = call(BodyLimit(echo, 10), messages, headers)
    assert [m["type"] for m in sent] == ["http.response.start", "http.response.body"] and sent[0]["status"] == 413
    assert (b"connection", b"close") in sent[0]["headers"] and "over 10 bytes" in json.loads(sent[1]["body"])["detail"]


def test_a_body_that_does_not_arrive_is_abandoned():
    sent = call(BodyLimit(echo, 10, seconds=0.05), [body(b"1", more=True)])
    assert sent[0]["status"] == 408 and "did not arrive within 0.05 s" in json.loads(sent[1]["body"])["detail"]


def test_a_client_that_disconnects_reaches_no_application():
    sent = call(BodyLimit(echo, 10), [body(b"1", more=True), {"type": "http.disconnect"}])
    assert sent[0]["status"] == 413


def test_an_answer_may_take_longer_than_the_body():
    async def slow(scope, receive, send):
        await receive()
        disconnection = asyncio.create_task(receive())  # as a streaming response does
        await asyncio.sleep(0.1)
        assert not disconnection.done()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    assert call(BodyLimit(slow, 10, seconds=0.05), [body(b"1")])[0]["status"] == 200


def test_requests_are_counted_by_route_and_status():
    telemetry = Telemetry(lambda: 0)

    async def broken(scope, receive, send):
        raise RuntimeError

    call(RequestMetrics(echo, telemetry), [body(b"")])
    with pytest.raises(RuntimeError):
        call(RequestMetrics(broken, telemetry), [])
    metrics = telemetry.text().decode()
    for status in (200, 500):
        assert f'kickbert_requests_total{{path="/predict",status="{status}"}} 1.0' in metrics
    assert 'kickbert_request_seconds_count{path="/predict"} 2.0' in metrics
