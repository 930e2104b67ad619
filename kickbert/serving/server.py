"""The HTTP server: uvicorn, with limits on what surrounds a body, and a service that learns at once when it is stopped.

settings → app → `Server` → `Connection`s → requests
"""

import ipaddress
import sys
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kickbert.serving.app import create_app
from kickbert.serving.service import Service
from kickbert.serving.settings import Settings

HEAD_BYTES = 2**16  # of a request line with its headers
HEAD_SECONDS = 20.0  # for them to arrive, from the opening of the connection or their first byte
GRACE = 5  # seconds beyond the timeout of a request that a stop waits
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(HttpToolsProtocol):
    """A connection whose headers are bounded in bytes and in seconds; httptools keeps all that comes, for ever."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.timer = None
        self.received = self.body_bytes = 0  # since the last request ended, up to what one read holds of the next
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        super().data_received(data)
        idle = self.cycle is None or self.cycle.response_complete
        if idle and not self.transport.is_closing():
            self._start_timer()
        # A body of single bytes in chunks, or trailers without end, have more around them than a body ever needs.
        if self.received > HEAD_BYTES + 2 * self.body_bytes:
            if idle:
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.received = self.body_bytes = 0

    def _start_timer(self) -> None:
        if self.timer is None:
            self.timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Server(uvicorn.Server):
    """uvicorn's server; it tells the service of a stop before it waits for requests, so that long ones end in time.

    Args:
        config: of uvicorn.
        service: behind the application.
    """

    def __init__(self, config: uvicorn.Config, service: Service):
        super().__init__(config)
        self.service = service

    async def shutdown(self, sockets: Any = None) -> None:
        self.service.close()
        await super().shutdown(sockets)


def is_loopback(host: str) -> bool:
    """Whether an address reaches this machine alone.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(settings: Settings, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve until a signal comes; requests that were taken are finished first. No text is ever logged.

    Args:
        settings: of the service.
        host: address to listen on; beyond loopback without an API key a line on stderr says what that means.
        port: to listen on.
    """
    app = create_app(settings)
    if settings.api_key is None and not is_loopback(host):
        print(
            f"warning: whoever reaches {host}:{port} can use this model; set an API key (--api-key, KICKBERT_API_KEY) "
            "to ask for it in X-API-Key",
            file=sys.stderr,
        )
    config = uvicorn.Config(
        app, host=host, port=port, http=Connection, ws="none", server_header=False,
        timeout_graceful_shutdown=int(settings.timeout) + GRACE,
    )  # fmt: skip
    with suppress(KeyboardInterrupt):
        Server(config, app.state.service).run()
