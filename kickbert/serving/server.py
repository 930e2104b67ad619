"""The HTTP server: uvicorn with an early shutdown notice to the models.

settings → app → `Server` → requests
"""

import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import uvicorn

from kickbert.serving.app import create_app
from kickbert.serving.service import Service
from kickbert.serving.settings import Settings

HEAD_BYTES = 2**16  # maximum size of a request line with its headers
LOOPBACK = ("127.0.0.1", "localhost", "::1")
GRACE = 5  # seconds that a shutdown waits beyond the timeout of a request


class Server(uvicorn.Server):
    """A uvicorn server that tells the services of a shutdown before it waits for requests, so that long ones end.

    Args:
        config: configuration of uvicorn.
        services: services behind the application.
    """

    def __init__(self, config: uvicorn.Config, services: Iterable[Service]):
        super().__init__(config)
        self.services = services

    async def shutdown(self, sockets: Any = None) -> None:
        for service in self.services:
            service.close()
        await super().shutdown(sockets)


def serve(settings: Settings, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve until a signal arrives; accepted requests are finished first. No text is logged.

    Args:
        settings: options of the service.
        host: address to listen on. Without an API key, an address beyond loopback causes a warning on stderr.
        port: port to listen on.
    """
    app = create_app(settings)
    for service in dict.fromkeys(app.state.services.values()):
        if len(service.models) > 1:
            print(f"{', '.join(service.models)}: one encoder, one pass per text for all", file=sys.stderr)
    if settings.api_key is None and host not in LOOPBACK:
        print(
            f"warning: anyone who can reach {host}:{port} can use this model; set an API key (--api-key or "
            "KICKBERT_API_KEY) that requests must send in X-API-Key",
            file=sys.stderr,
        )
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http="h11",  # the protocol that bounds the size of headers
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=int(settings.timeout) + GRACE,
    )
    with suppress(KeyboardInterrupt):
        Server(config, app.state.services.values()).run()
