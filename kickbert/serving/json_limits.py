"""Limits on JSON bodies that apply before a body is parsed: a few bytes can become a large object each."""

import json
import re
from collections.abc import Callable

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute

# Possessive quantifiers: a string is read once, even without its closing quote.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{,]', re.DOTALL)


def check_json(body: bytes, max_tokens: int) -> None:
    """Check the encoding of a JSON body and count its tokens.

    Args:
        body: body of the request.
        max_tokens: maximum number of strings, commas, and opening brackets and braces outside of strings.
    Raises:
        HTTPException: 400 for another encoding than UTF-8, 413 for too many tokens.
    """
    if not json.detect_encoding(body).startswith("utf-8"):
        raise HTTPException(400, "the body must be JSON in UTF-8")
    for count, _ in enumerate(_TOKEN.finditer(body), 1):
        if count > max_tokens:
            raise HTTPException(413, f"the body has over {max_tokens:,} JSON tokens; send fewer texts at a time")


def json_route(max_tokens: int) -> type[APIRoute]:
    """Return a class of routes that check each body before FastAPI parses it."""

    class JsonRoute(APIRoute):
        def get_route_handler(self) -> Callable:
            handler = super().get_route_handler()

            async def handle(request: Request):
                check_json(await request.body(), max_tokens)
                return await handler(request)

            return handle

    return JsonRoute
