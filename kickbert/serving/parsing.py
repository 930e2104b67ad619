"""JSON bodies, from bytes to the model of a request: counted, then parsed and validated in a thread.

bytes → number of values → JSON → pydantic → the request's model; or 400, 413, 422 with a few short errors
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool

from kickbert.utils.messages import shorten

ERRORS = 10  # validation errors that an answer lists
WIDTH = 200  # characters of a name or a message that an error shows
INLINE = 2**16  # bytes that are parsed on the event loop: a thread would take longer


class JsonLimits:
    """Refuses JSON bodies that would take long to parse, or become many objects, before they are parsed.

    Args:
        values: tokens of a body: strings, commas, the opening of a list or an object, and what stands between these.
        chars: of a string.
    """

    def __init__(self, values: int, chars: int):
        self.values, self.chars = values, chars
        # Possessive, so that it is linear in the bytes whatever they are: an unclosed string is a match, never a reason
        # to look again. Bounded, so that no match keeps the event loop waiting for long, and four steps a character,
        # which may be written as two escapes.
        self._token = re.compile(
            rb'"(?:[^"\\]++|\\.?){0,%d}+(?P<end>"|\Z)?|[\[{,]|[^"\[{,]{1,65536}+' % (4 * chars), re.DOTALL
        )

    def check(self, body: bytes) -> None:
        """Look at a body's tokens until they are too many.

        Args:
            body: JSON, or what a client took for it.
        Raises:
            HTTPException: 413.
        """
        for count, token in enumerate(self._token.finditer(body), 1):
            if count > self.values:
                raise HTTPException(413, f"the body has over {self.values:,} JSON tokens; send fewer texts at a time")
            if token[0].startswith(b'"') and token["end"] is None:
                raise HTTPException(413, f"a text is too long; send {self.chars:,} characters at most")

    def parse(self, body: bytes) -> Any:
        """A JSON body as Python objects.

        Args:
            body: UTF-8.
        Raises:
            HTTPException: 413, too large; 400, not UTF-8, or a number or a nesting that is too long; 422, no JSON.
        """
        self.check(body)
        try:
            return json.loads(body.decode("utf-8-sig"))
        except json.JSONDecodeError as err:
            error = {"type": "json_invalid", "loc": ("body", err.pos), "msg": f"JSON decode error: {err}"}
            raise HTTPException(422, short_errors([error])) from None
        except (ValueError, RecursionError) as err:
            raise HTTPException(
                400, f"the body is no UTF-8 JSON that can be read: {shorten(str(err), WIDTH)}"
            ) from None


def short_errors(errors: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first `ERRORS` validation errors, without the input that they are about.

    Args:
        errors: of pydantic, each with `type`, `loc` and `msg`.

    >>> short_errors([{"type": "missing", "loc": ("body", "texts"), "msg": "Field required", "input": {"a": 1}}])
    [{'type': 'missing', 'loc': ['body', 'texts'], 'msg': 'Field required'}]
    """
    short = [
        {
            "type": error["type"],
            "loc": [part if isinstance(part, int) else shorten(part, WIDTH) for part in error["loc"]],
            "msg": shorten(error["msg"], WIDTH),
        }
        for error in errors[:ERRORS]
    ]
    if len(errors) > ERRORS:
        short.append({"type": "more", "loc": ["body"], "msg": f"and {len(errors) - ERRORS:,} more errors"})
    return short


def json_route(limits: JsonLimits) -> type[APIRoute]:
    """The class of routes whose JSON bodies are parsed within limits and validated, large ones in a thread."""

    class JsonRoute(APIRoute):
        def get_route_handler(self) -> Callable:
            handler, model = super().get_route_handler(), self.body_field.field_info.annotation

            async def handle(request: Request) -> Any:
                return await handler(_JsonRequest(request.scope, request.receive, model, limits))

            return handle

    return JsonRoute


class _JsonRequest(Request):
    """A request whose `json` is an instance of its model already: FastAPI takes it as it is."""

    def __init__(self, scope: Any, receive: Any, model: type[BaseModel], limits: JsonLimits):
        super().__init__(scope, receive)
        self.model, self.limits = model, limits

    async def json(self) -> BaseModel:
        body = await self.body()
        return self._validated(body) if len(body) <= INLINE else await run_in_threadpool(self._validated, body)

    def _validated(self, body: bytes) -> BaseModel:
        try:
            return self.model.model_validate(self.limits.parse(body))
        except ValidationError as err:
            errors = err.errors(include_url=False, include_input=False, include_context=False)
            located = [error | {"loc": ("body", *error["loc"])} for error in errors]
            raise HTTPException(422, short_errors(located)) from None
