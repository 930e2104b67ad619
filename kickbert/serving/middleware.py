"""ASGI middleware: bodies that are too large or too slow are refused, requests are counted and timed."""

import asyncio
import json
import time
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kickbert.serving.telemetry import Telemetry


class _Refused(Exception):
    """The body will not be read to its end."""


class BodyLimit:
    """ASGI middleware that answers a body over the limit with 413, and one that takes too long to arrive with 408.

    Args:
        app: what comes behind.
        most: bytes, whether they were announced or not.
        seconds: for the whole body.
    """

    def __init__(self, app: ASGIApp, most: int, seconds: float = 60.0):
        self.app, self.most, self.seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        too_large = 413, f"the body is over {self.most:,} bytes; send fewer texts at a time"
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self.most:
            await _refuse(send, *too_large)
            return
        read, complete, begun, refusal = 0, False, False, None
        until = asyncio.get_running_loop().time() + self.seconds

        async def receive_body() -> Message:
            nonlocal read, complete, refusal
            try:
                async with asyncio.timeout_at(None if complete else until):  # what follows a body is the disconnection
                    message = await receive()
            except TimeoutError:
                refusal = 408, f"the body did not arrive in {self.seconds:g} s; send fewer texts at a time"
                raise _Refused from None
            read, complete = read + len(message.get("body", b"")), not message.get("more_body", False)
            if read > self.most:
                refusal = too_large
                raise _Refused
            return message

        async def send_unless_refused(message: Message) -> None:
            nonlocal begun
            if refusal is None:  # else what comes is what was made of the error: a body that cannot be parsed, say
                begun = True
                await send(message)

        with suppress(_Refused):
            await self.app(scope, receive_body, send_unless_refused)
        if refusal is not None and not begun:
            await _refuse(send, *refusal)


async def _refuse(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    # What is left of the body is not read, so the connection cannot be used again.
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})


class RequestMetrics:
    """ASGI middleware that counts and times requests by route."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry):
        self.app, self.telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noting_status)
        finally:
            # The route's own path: what somebody typed would make a metric of every typing error.
            path = getattr(scope.get("route"), "path", "none")
            self.telemetry.requests.labels(path, status).inc()
            self.telemetry.seconds.labels(path).observe(time.perf_counter() - start)
