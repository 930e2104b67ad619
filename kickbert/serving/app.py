"""A model as an HTTP service, with a web page at `/`.

request → limits → `Service` (batches across requests) → JSON
"""

import asyncio
import hmac
import importlib.resources
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import isfinite
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.security import APIKeyHeader

from kickbert import __version__
from kickbert.inference.predictor import Predictor
from kickbert.models.artifact.metadata import encoder_name
from kickbert.serving.errors import DETAIL, describe_errors, handle_errors
from kickbert.serving.json_limits import json_route
from kickbert.serving.middleware import BodyLimit, RequestMetrics
from kickbert.serving.schemas import (
    ColumnInfo,
    ExplanationResponse,
    Health,
    ManyPredictionsResponse,
    ModelInfo,
    ModelStatus,
    PredictionResponse,
    request_models,
)
from kickbert.serving.service import Service, open_services, reload_models
from kickbert.serving.settings import Settings
from kickbert.serving.telemetry import Telemetry
from kickbert.tabular.columns import Column, distinct
from kickbert.utils.messages import shorten

CSV = {"content": {"text/csv": {"schema": {"type": "string"}}}}
MAX_VALUES = 200  # categories of a column that the page offers
# The page loads nothing from elsewhere, and no other script may run in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"

# Dependencies are `async` although they wait for nothing: FastAPI runs others in a thread each.


async def _services(request: Request) -> dict[str, Service]:
    return request.app.state.services


Services = Annotated[dict[str, Service], Depends(_services)]


async def _name(
    services: Services,
    model: Annotated[str | None, Query(description="name of the model, if there are several")] = None,
) -> str:
    if model is None and len(services) == 1:
        return next(iter(services))
    if model not in services:
        raise HTTPException(404, shorten(f"model={model!r} is not a model. Models: {', '.join(services)}", DETAIL))
    return model


Chosen = Annotated[str, Depends(_name)]


async def _authorize(
    request: Request, key: Annotated[str | None, Depends(APIKeyHeader(name="X-API-Key", auto_error=False))]
) -> None:
    """Compare keys in constant time."""
    expected = request.app.state.settings.api_key
    if not hmac.compare_digest((key or "").encode(), expected.encode()):
        raise HTTPException(401, "the header X-API-Key is missing or wrong", {"WWW-Authenticate": "X-API-Key"})


async def _same_origin(request: Request) -> None:
    """Refuse requests that a page of another site makes a browser send; JSON needs the service's consent anyway."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    # Prefer the browser's word: a proxy may have changed the host that the origin is compared with.
    same = site in ("same-origin", "none") if site else not origin or urlsplit(origin).netloc == request.url.netloc
    if not same:
        raise HTTPException(403, "the request comes from a page of another site")


public = APIRouter()
described = APIRouter()
private = APIRouter()


def _prediction_routes(services: dict[str, Service], settings: Settings) -> APIRouter:
    """Create the routes whose schema depends on the models."""
    models = list(_models(services).values())
    columns = models[0].text_col
    beside = [column.name for column in _beside(services)]
    labels = list(dict.fromkeys(label for model in models for label in model.labels))
    single = not any(model.target.is_multilabel or model.target.is_number for model in models)
    max_texts = min(settings.max_texts, settings.queue_size)
    request_of, explanation_of = request_models(columns, labels, single, settings.max_chars, max_texts, beside)
    # A text has one brace and one comma, and for each column its name, its value and a comma.
    router = APIRouter(route_class=json_route(64 + max_texts * (2 + 3 * len([*columns, *beside]))))
    response_of = PredictionResponse if len(models) == 1 else ManyPredictionsResponse

    @router.post("/predict", response_model=response_of, responses=describe_errors(400, 408, 413, 422, 429, 503, 504))
    async def predict(body: request_of) -> Response:  # type: ignore[valid-type]
        """Predict one text or many."""
        min_confidence = getattr(body, "min_confidence", None)
        texts = body.items  # type: ignore[attr-defined]
        parts = await asyncio.gather(*(service.predict(texts, min_confidence) for service in _unique(services)))
        answers = {name: answer for part in parts for name, answer in part.items()}
        answer = {"models": {name: answers[name] for name in services}}
        if len(answers) == 1:
            (answer,) = answers.values()
        # A response, because validating our own answer would take longer than making it.
        return Response(json.dumps(answer), media_type="application/json")

    @router.post(
        "/explain",
        response_model=ExplanationResponse,
        responses=describe_errors(400, 404, 408, 413, 422, 429, 503, 504),
    )
    async def explain(body: explanation_of, services: Services, name: Chosen) -> dict:  # type: ignore[valid-type]
        """Score which words of a text make a class more probable, and which less."""
        text = body.text.model_dump(by_alias=True)  # type: ignore[attr-defined]
        return await services[name].explain(name, text, body.label)  # type: ignore[attr-defined]

    return router


@private.post(
    "/predict/file",
    response_class=Response,
    openapi_extra={"requestBody": {"description": "A CSV file with the text columns of the model.", **CSV}},
    responses={
        200: {"description": "The rows with predictions. Cells that a spreadsheet might run as a formula are prefixed "
              "with an apostrophe.", **CSV},
        **describe_errors(403, 404, 408, 409, 413, 422, 429, 503, 504),
    },
    dependencies=[Depends(_same_origin)],
)  # fmt: skip
async def predict_file(request: Request, services: Services, name: Chosen) -> Response:
    """Predict the rows of a CSV file."""
    try:
        content, report = await services[name].predict_csv(name, await request.body())
    except ValueError as err:
        raise HTTPException(409, shorten(str(err), DETAIL)) from err
    headers = {
        "X-Rows": str(report.rows),
        "X-Without-Text": str(report.without_text),
        "X-Skipped": str(report.skipped_lines),
        "X-Notes": json.dumps([shorten(note, DETAIL) for note in report.notes]),
    }
    return Response(content, media_type="text/csv", headers=headers)


@private.get("/model", responses=describe_errors(404, 422))
async def describe_model(
    services: Services, request: Request, model: Annotated[str | None, Query(description="by default the first")] = None
) -> ModelInfo:
    """Describe a model: version, task, labels, columns, scores, examples, model card."""
    predictor = _models(services)[await _name(services, model or next(iter(services)))]
    artifact = predictor.artifact
    metadata = artifact.metadata
    return ModelInfo(
        name=artifact.name,
        version=artifact.version,
        encoder=encoder_name(metadata["encoder"]),
        task=predictor.task,
        labels=predictor.labels,
        text_col=predictor.text_col,
        columns=[_described(column) for column in _beside(services)],
        backend=predictor.backend.name,
        metrics={name: value for name, value in metadata["metrics"].items() if value is not None and isfinite(value)},
        evaluated_on=metadata["evaluated on"] or "",
        examples=list(request.app.state.settings.examples),
        card=artifact.card,
        models=list(services),
    )


def _beside(services: dict[str, Service]) -> list[Column]:
    """List the columns that any model of the service reads beside the text, each once by its name."""
    return distinct(column for service in _unique(services) for column in service.models.beside)


def _described(column: Column) -> ColumnInfo:
    return ColumnInfo(name=column.name, kind=column.kind, values=list(getattr(column, "values", ()))[:MAX_VALUES])


@private.post("/reload", responses=describe_errors(403, 409), dependencies=[Depends(_same_origin)])
async def reload(request: Request, services: Services) -> ModelStatus:
    """Load the latest version of each model; no request is dropped."""
    await reload_models(services.values())
    _record(request.app)
    return ModelStatus(status="reloaded", version=_versions(services))


@public.get("/health", response_model_exclude_none=True)
async def health(services: Services) -> Health:
    """Confirm that the process runs."""
    return Health(status="ok", models=list(services) if len(services) > 1 else None)


@public.get("/ready")
async def ready(services: Services) -> ModelStatus:
    """Confirm that the models answer."""
    return ModelStatus(status="ready", version=_versions(services))


@described.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> PlainTextResponse:
    """Return counts and times for Prometheus."""
    return PlainTextResponse(request.app.state.telemetry.text(), media_type="text/plain; version=0.0.4")


@described.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> JSONResponse:
    """Return the OpenAPI description of the service."""
    return JSONResponse(request.app.openapi())


@public.get("/", response_class=HTMLResponse)
async def page() -> HTMLResponse:
    """Return the web page."""
    content = importlib.resources.files("kickbert.serving").joinpath("serve_page.html").read_text(encoding="utf-8")
    return HTMLResponse(content, headers={"Content-Security-Policy": POLICY})


def _models(services: dict[str, Service]) -> dict[str, Predictor]:
    return {name: service.models[name] for name, service in services.items()}


def _unique(services: dict[str, Service]) -> list[Service]:
    """List each service once: models that share an encoder have the same one."""
    return list(dict.fromkeys(services.values()))


def _versions(services: dict[str, Service]) -> str:
    versions = {name: model.artifact.version for name, model in _models(services).items()}
    return ", ".join(version if len(versions) == 1 else f"{name} {version}" for name, version in versions.items())


def _record(app: FastAPI) -> None:
    app.state.telemetry.loaded(_models(app.state.services))


def create_app(settings: Settings) -> FastAPI:
    """Load the models and create the service as an ASGI application.

    Raises:
        ArtifactError, ValueError: The models cannot be loaded, or not together.
    """
    telemetry = Telemetry(lambda: sum(service.batcher.waiting for service in _unique(services)))
    services = open_services(settings, telemetry)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for service in _unique(services):
            await service.start()
        yield
        for service in _unique(services):
            await service.stop()

    app = FastAPI(title="kickbert", version=__version__, lifespan=lifespan, openapi_url=None)
    app.state.settings = settings
    app.state.services = services
    app.state.telemetry = telemetry
    _record(app)
    guarded: dict[str, Any] = {}
    if settings.api_key:
        guarded = {"dependencies": [Depends(_authorize)], "responses": describe_errors(401)}
    app.include_router(public)
    app.include_router(described, **(guarded if settings.private_metrics else {}))
    app.include_router(private, **guarded)
    app.include_router(_prediction_routes(services, settings), **guarded)
    app.add_middleware(BodyLimit, max_bytes=settings.max_bytes, seconds=settings.upload_timeout)
    app.add_middleware(RequestMetrics, telemetry=telemetry)
    handle_errors(app)
    return app
