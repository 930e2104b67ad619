"""Requests that are too large are refused before they are read."""

import json
import time
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kickbert.serving.telemetry import Telemetry


class _TooLarge(Exception):
    """The body is over the limit."""


class BodyLimit:
    """ASGI middleware: a body over the limit is answered with 413, whether its length was announced or not.

    Args:
        app: what comes behind.
        most: bytes.
    """

    def __init__(self, app: ASGIApp, most: int):
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self.most:
            await self._refuse(send)
            return
        read, begun = 0, False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.most:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            if read <= self.most:  # else what comes is what was made of the error: a body that cannot be parsed, say
                begun = True
                await send(message)

        with suppress(_TooLarge):
            await self.app(scope, counted, noted)
        if read > self.most and not begun:
            await self._refuse(send)

    async def _refuse(self, send: Send) -> None:
        body = json.dumps({"detail": f"the body is over {self.most:,} bytes; send fewer texts at a time"}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        # What is left of the body is not read, so the connection cannot be used again.
        await send({"type": "http.response.start", "status": 413, "headers": [*headers, (b"connection", b"close")]})
        await send({"type": "http.response.body", "body": body})


class Measured:
    """ASGI middleware that counts and times requests by route."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry):
        self.app, self.telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            # The route's own path: what somebody typed would make a metric of every typing error.
            path = getattr(scope.get("route"), "path", "none")
            self.telemetry.requests.labels(path, status).inc()
            self.telemetry.seconds.labels(path).observe(time.perf_counter() - start)
