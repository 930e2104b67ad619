"""ASGI middleware: it refuses bodies that are too large or too slow, and it counts and times requests."""

import asyncio
import json
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kickbert.serving.telemetry import Telemetry


class BodyLimit:
    """ASGI middleware that answers a body over the limit with 413, and one that arrives too slowly with 408.

    Args:
        app: application that gets the whole body at once.
        max_bytes: maximum size of a body, with or without a Content-Length header.
        seconds: maximum time in which the body must arrive.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float = 60.0):
        self.app = app
        self.max_bytes = max_bytes
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = length.isdigit() and int(length) > self.max_bytes
        try:
            async with asyncio.timeout(self.seconds):
                body = None if too_large else await self._read(receive)
        except TimeoutError:
            await _refuse(send, 408, f"the body did not arrive within {self.seconds:g} s; send fewer texts at a time")
            return
        if body is None:
            await _refuse(send, 413, f"the body is over {self.max_bytes:,} bytes; send fewer texts at a time")
            return
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_body() -> Message:
            return messages.pop() if messages else await receive()  # the message after a body is a disconnect

        await self.app(scope, receive_body, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """Read a body; None if it is over the limit, or the client is gone."""
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self.max_bytes or message["type"] == "http.disconnect":
                return None
            if not message.get("more_body", False):
                return bytes(body)


async def _refuse(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # the rest of the body is never read
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class RequestMetrics:
    """ASGI middleware that counts and times requests by route."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry):
        self.app = app
        self.telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noting_status)
        finally:
            # The path of the route: with the requested path, every typo would create a metric.
            path = getattr(scope.get("route"), "path", "none")
            self.telemetry.requests.labels(path, status).inc()
            self.telemetry.seconds.labels(path).observe(time.perf_counter() - start)
