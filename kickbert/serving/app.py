"""A model as an HTTP service, with a page for people at `/`.

request → limits → `Service` (batches of requests that come together) → JSON
"""

import asyncio
import hmac
import importlib.resources
import json
import signal
from contextlib import asynccontextmanager, suppress
from math import isfinite
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.security import APIKeyHeader

from kickbert import __version__
from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.metadata import encoder_name
from kickbert.serving.batcher import QueueFull
from kickbert.serving.csv_files import TooLarge
from kickbert.serving.middleware import BodyLimit, RequestMetrics
from kickbert.serving.parsing import JsonLimits, json_route, short_errors
from kickbert.serving.schemas import (
    ErrorResponse,
    ExplanationResponse,
    Health,
    ManyPredictionsResponse,
    ModelInfo,
    ModelStatus,
    PredictionResponse,
    request_models,
)
from kickbert.serving.service import Busy, Service, Stopping, UnknownModel, models_of, version_of
from kickbert.serving.settings import Settings
from kickbert.utils.messages import shorten

CSV = "text/csv"
DETAIL = 500  # characters of an error: it may name columns of a file
ERRORS = {
    400: "The body is no UTF-8 JSON.",
    401: "The header X-API-Key is missing or wrong.",
    403: "The request comes from a page of another site.",
    404: "No model of that name answers, or several do and none is named.",
    408: "The body did not arrive in time.",
    413: "A body, a text, a row, or the number of texts, values, columns or rows is over the limit.",
    422: "The request does not fit the schema; the detail says where.",
    429: "Too much waits already; try again after the seconds in Retry-After.",
    503: "The model is not loaded yet, or the service is being stopped; try again after the seconds in Retry-After.",
    504: "It took too long; the detail says what to do.",
}
# The page brings all it needs with it, and nothing else is to run in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


def _responses(*codes: int) -> dict[int | str, dict]:
    return {code: {"model": ErrorResponse, "description": ERRORS[code]} for code in codes}


async def _service(request: Request) -> Service:
    # `async`, though it waits for nothing: FastAPI would run it in a thread of its own.
    service: Service = request.app.state.service
    if service.model is None:
        raise HTTPException(503, ERRORS[503], {"Retry-After": "1"})
    return service


Ready = Annotated[Service, Depends(_service)]
Named = Annotated[str | None, Query(alias="model", description="name of the model, where several answer")]


async def _authorised(
    request: Request, key: Annotated[str | None, Depends(APIKeyHeader(name="X-API-Key", auto_error=False))]
) -> None:
    """Compare keys in a time that does not tell how much of one is right."""
    expected = request.app.state.service.settings.api_key
    if not hmac.compare_digest((key or "").encode(), expected.encode()):
        raise HTTPException(401, ERRORS[401], {"WWW-Authenticate": "X-API-Key"})


async def _same_origin(request: Request) -> None:
    """Refuse what a page of another site makes a browser send; JSON needs its consent anyway, other bodies do not."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    # Browsers that tell the site are believed: a proxy may have changed the host that the origin is compared with.
    same = site in ("same-origin", "none") if site else not origin or urlsplit(origin).netloc == request.url.netloc
    if not same:
        raise HTTPException(403, ERRORS[403])


public, described, private = APIRouter(), APIRouter(), APIRouter(responses=_responses(503))
same_origin = {"dependencies": [Depends(_same_origin)]}


def _model_routes(settings: Settings) -> APIRouter:
    """The routes whose requests depend on the model: its columns and labels are part of the description."""
    columns, labels, single = settings.reads()
    request_of, explanation_of = request_models(columns, labels, single, settings.most_chars, settings.most_texts)
    # Of each text its beginning and a comma, of each column its name, its value and a comma, each with what stands
    # between; the rest is for the other fields.
    limits = JsonLimits(64 + settings.most_texts * (4 + 6 * len(columns)), settings.most_chars)
    router = APIRouter(responses=_responses(503), route_class=json_route(limits))

    response_of = ManyPredictionsResponse if settings.several else PredictionResponse

    @router.post("/predict", response_model=response_of, responses=_responses(400, 408, 413, 422, 429, 504))
    async def predict(body: request_of, service: Ready) -> Response:
        """Classify one text or many."""
        texts = _plain(body.items, settings)
        response = await service.predict(texts, getattr(body, "min_confidence", None))
        # As bytes at once: to check our own response against the schema takes longer than to make it.
        return Response(json.dumps(response), media_type="application/json")

    @router.post(
        "/explain", response_model=ExplanationResponse, responses=_responses(400, 404, 408, 413, 422, 429, 504)
    )
    async def explain(body: explanation_of, service: Ready, name: Named = None) -> dict:
        """Score which words of a text make a class more probable, and which less."""
        return await service.explain(_plain([body.text], settings)[0], body.label, name)

    return router


_CSV = {"content": {CSV: {"schema": {"type": "string"}}}}


@private.post(
    "/label",
    response_class=Response,
    openapi_extra={"requestBody": {"description": "A CSV file with the model's text columns.", **_CSV}},
    responses={
        200: {
            "description": "The rows with predictions beside them; cells that a spreadsheet would take for a formula "
            "begin with an apostrophe.",
            **_CSV,
        },
        409: {
            "model": ErrorResponse,
            "description": "The file is no CSV, has no rows, or lacks a text column.",
        },
        **_responses(403, 404, 408, 413, 422, 429, 504),
    },
    **same_origin,
)
async def label(request: Request, service: Ready, name: Named = None) -> Response:
    """Classify the rows of a CSV file."""
    service.named(name)
    try:
        content, report = await service.label(await request.body(), name)
    except ValueError as err:
        raise HTTPException(409, shorten(str(err), DETAIL)) from err
    counts = {"X-Rows": report.rows, "X-Without-Text": report.without_text, "X-Skipped": len(report.skipped)}
    headers = {name: str(count) for name, count in counts.items()}
    headers["X-Notes"] = json.dumps([shorten(note, DETAIL) for note in report.notes])
    return Response(content, media_type=CSV, headers=headers)


@private.get("/model", responses=_responses(404, 422))
async def model(service: Ready, name: Named = None) -> ModelInfo:
    """Describe the model, of several the first: name, version, task, labels, columns, scores, examples, model card."""
    names, settings = list(models_of(service.model)), service.settings
    name = name or names[0]
    model = service.named(name)
    artifact, metadata = model.artifact, model.artifact.metadata
    scores = {name: value for name, value in metadata["metrics"].items() if value is not None and isfinite(value)}
    encoder = encoder_name(metadata["encoder"])
    return ModelInfo(
        name=name, version=artifact.version, encoder=encoder, task=model.task, labels=model.labels,
        text_col=model.text_col, backend=model.backend.name, metrics=scores, examples=list(settings.examples),
        evaluated_on=metadata["evaluated on"] or "", card=artifact.card,
        models=names,
    )  # fmt: skip


@private.post(
    "/reload",
    responses={
        409: {"model": ErrorResponse, "description": "The new version cannot be read, or does not fit."},
        **_responses(403),
    },
    **same_origin,
)
async def reload(service: Ready) -> ModelStatus:
    """Load the latest version of the model; no request is dropped."""
    return ModelStatus(status="reloaded", version=await service.reload())


@public.get("/health")
async def health() -> Health:
    """Tell that the process runs."""
    return Health(status="ok")


@public.get("/ready", responses=_responses(503))
async def ready(service: Ready) -> ModelStatus:
    """Tell whether the model answers."""
    return ModelStatus(status="ready", version=version_of(service.model))


@described.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> PlainTextResponse:
    """Counts and times, for Prometheus."""
    return PlainTextResponse(request.app.state.service.telemetry.text(), media_type="text/plain; version=0.0.4")


@described.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> JSONResponse:
    """The description of the service."""
    return JSONResponse(request.app.openapi())


@public.get("/", response_class=HTMLResponse)
async def page() -> HTMLResponse:
    """The page for people."""
    content = importlib.resources.files("kickbert.serving").joinpath("serve_page.html").read_text(encoding="utf-8")
    return HTMLResponse(content, headers={"Content-Security-Policy": POLICY})


def _plain(texts: list, settings: Settings) -> list[str | dict[str, str]]:
    """The texts of a request as strings and dicts; too many, or too long, are refused."""
    if len(texts) > settings.most_texts:
        raise HTTPException(413, f"{len(texts):,} texts; send {settings.most_texts:,} at most at a time")
    plain = [text if isinstance(text, str) else text.model_dump(by_alias=True) for text in texts]
    for i, text in enumerate(plain):
        longest = max(map(len, text.values() if isinstance(text, dict) else [text]))
        if longest > settings.most_chars:
            raise HTTPException(413, f"text {i} has {longest:,} characters; send {settings.most_chars:,} at most")
    return plain


def create_app(settings: Settings) -> FastAPI:
    """The service as an ASGI application."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        await service.start()
        loop = asyncio.get_running_loop()
        with suppress(ValueError, RuntimeError, NotImplementedError, AttributeError):  # no main thread, or Windows
            loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(service.reload()))
        yield
        await service.stop()

    app = FastAPI(title="kickbert", version=__version__, lifespan=lifespan, openapi_url=None)
    app.state.service = service
    guarded = {"dependencies": [Depends(_authorised)], "responses": _responses(401)} if settings.api_key else {}
    app.include_router(public)
    app.include_router(described, **(guarded if settings.private_metrics else {}))
    for router in (private, _model_routes(settings)):
        app.include_router(router, **guarded)
    app.add_middleware(BodyLimit, most=settings.most_bytes, seconds=settings.upload_timeout)
    app.add_middleware(RequestMetrics, telemetry=service.telemetry)
    _translate(app)
    return app


def _translate(app: FastAPI) -> None:
    """Answer errors from inside with what a client can act on."""

    def handler(code: int, headers: dict[str, str] | None = None) -> Any:
        async def handle(request: Request, err: Exception) -> JSONResponse:
            return JSONResponse({"detail": shorten(str(err), DETAIL) or ERRORS[code]}, code, headers)

        return handle

    async def invalid(request: Request, err: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": short_errors(err.errors())}, 422)

    again = {"Retry-After": "1"}
    for kind, code, headers in (
        (QueueFull, 429, again),
        (Busy, 429, again),
        (Stopping, 503, again),
        (TooLarge, 413, None),
        (TimeoutError, 504, None),
        (UnknownModel, 404, None),
        (ArtifactError, 409, None),
        (ValueError, 422, None),
    ):
        app.add_exception_handler(kind, handler(code, headers))
    app.add_exception_handler(RequestValidationError, invalid)
