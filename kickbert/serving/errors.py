"""Error responses: a status code, and a short detail that never repeats the input."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.serving.batcher import QueueFull
from kickbert.serving.csv_files import TooLarge
from kickbert.serving.schemas import ErrorResponse
from kickbert.serving.service import Busy, Stopping
from kickbert.utils.messages import shorten

SHOWN = 10  # maximum validation errors per response
WIDTH = 200  # maximum characters of a field name or a validation message
DETAIL = 500  # maximum characters of any other error
CODES: dict[type[Exception], int] = {
    QueueFull: 429,
    Busy: 429,
    Stopping: 503,
    TooLarge: 413,
    TimeoutError: 504,
    ArtifactError: 409,
    ValueError: 422,
}


def describe_errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with these status codes."""
    return {code: {"model": ErrorResponse, "description": HTTPStatus(code).phrase} for code in codes}


def short_errors(errors: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Shorten validation errors: the first `SHOWN`, without the input.

    Args:
        errors: errors of pydantic, each with `type`, `loc` and `msg`.

    >>> short_errors([{"type": "missing", "loc": ("body", "texts"), "msg": "Field required", "input": {"a": 1}}])
    [{'type': 'missing', 'loc': ['body', 'texts'], 'msg': 'Field required'}]
    """
    short = []
    for error in errors[:SHOWN]:
        loc = [part if isinstance(part, int) else shorten(part, WIDTH) for part in error["loc"]]
        msg = f"{loc[-1]} is empty" if error["type"] == "too_short" else shorten(error["msg"], WIDTH)
        short.append({"type": error["type"], "loc": loc, "msg": msg})
    if len(errors) > SHOWN:
        short.append({"type": "more", "loc": ["body"], "msg": f"and {len(errors) - SHOWN:,} more errors"})
    return short


def handle_errors(app: FastAPI) -> None:
    """Answer exceptions with the status codes in `CODES`."""

    async def handle(request: Request, err: Exception) -> JSONResponse:
        code = next(code for kind, code in CODES.items() if isinstance(err, kind))
        headers = {"Retry-After": "1"} if code in (429, 503) else None
        return JSONResponse({"detail": shorten(str(err), DETAIL) or HTTPStatus(code).phrase}, code, headers)

    async def handle_invalid(request: Request, err: Exception) -> JSONResponse:
        assert isinstance(err, RequestValidationError)
        return JSONResponse({"detail": short_errors(err.errors())}, 422)

    for kind in CODES:
        app.add_exception_handler(kind, handle)
    app.add_exception_handler(RequestValidationError, handle_invalid)
