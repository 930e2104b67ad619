"""A model as an HTTP service, with a page for people at `/`.

request → limits → `Service` (batches of requests that come together) → JSON
"""

import asyncio
import hmac
import importlib.resources
import json
import signal
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.security import APIKeyHeader

from kickbert import __version__
from kickbert.models.artifact import ArtifactError, read_artifact
from kickbert.serving.batcher import QueueFull
from kickbert.serving.middleware import BodyLimit, Measured
from kickbert.serving.schemas import ExplanationResponse, ModelInfo, PredictionResponse, Problem, State, requests_of
from kickbert.serving.service import Busy, Service, Settings
from kickbert.targets.kinds import ORDINAL, SINGLE

CSV = "text/csv"
TOLD = {
    400: "The body is no UTF-8 JSON.",
    401: "The header X-API-Key is missing or wrong.",
    413: "A body, a text, or the number of texts is over the limit.",
    422: "The request does not fit what is asked for; the detail says where.",
    429: "Too much waits already; try again after the seconds in Retry-After.",
    503: "The model is not loaded yet.",
    504: "It took too long.",
}
# The page brings all it needs with it, and nothing else is to run in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


def _problems(*codes: int) -> dict[int | str, dict]:
    return {code: {"model": Problem, "description": TOLD[code]} for code in codes}


async def _service(request: Request) -> Service:
    # `async`, though it waits for nothing: FastAPI would run it in a thread of its own.
    service: Service = request.app.state.service
    if service.model is None:
        raise HTTPException(503, TOLD[503])
    return service


Ready = Annotated[Service, Depends(_service)]


async def _authorised(
    request: Request, key: Annotated[str | None, Depends(APIKeyHeader(name="X-API-Key", auto_error=False))]
) -> None:
    """Compare keys in a time that does not tell how much of one is right."""
    wanted = request.app.state.service.settings.api_key
    if wanted is not None and not hmac.compare_digest((key or "").encode(), wanted.encode()):
        raise HTTPException(401, TOLD[401], {"WWW-Authenticate": "X-API-Key"})


public = APIRouter()
private = APIRouter(responses=_problems(503))


def _asking(settings: Settings) -> APIRouter:
    """The routes whose questions depend on the model: its columns and labels are part of the description."""
    router, artifact = APIRouter(responses=_problems(503)), read_artifact(settings.folder)
    sure = artifact.metadata["task"] in (SINGLE, ORDINAL)
    columns, labels = artifact.metadata["text_col"], artifact.target.names
    ask_of, why_of = requests_of(columns, labels, sure, settings.most_chars, settings.most_texts)

    @router.post("/predict", response_model=PredictionResponse, responses=_problems(400, 413, 422, 429, 504))
    async def predict(ask: ask_of, service: Ready) -> Response:
        """Label one text or many."""
        texts = _plain(ask.texts if isinstance(ask.texts, list) else [ask.texts], settings)
        found = await service.predict(texts, getattr(ask, "min_confidence", None))
        # As bytes at once: to check our own answer against the contract takes longer than to make it.
        return Response(json.dumps(found), media_type="application/json")

    @router.post("/explain", response_model=ExplanationResponse, responses=_problems(400, 413, 422, 429))
    async def explain(why: why_of, service: Ready) -> dict:
        """Which words of a text speak for and against a class."""
        return await service.explain(_plain([why.text], settings)[0], why.label)

    return router


_CSV = {"content": {CSV: {"schema": {"type": "string"}}}}


@private.post(
    "/label",
    response_class=Response,
    openapi_extra={"requestBody": {"description": "A CSV file with the model's text columns.", **_CSV}},
    responses={
        200: {"description": "The rows with answers beside them.", **_CSV},
        409: {"model": Problem, "description": "The file does not fit the model: no CSV, no rows, or other columns."},
        **_problems(413),
    },
)
async def label(request: Request, service: Ready) -> Response:
    """Label the rows of a CSV file."""
    try:
        found, done = await service.label(await request.body())
    except ValueError as err:
        raise HTTPException(409, str(err)) from err
    told = {"X-Rows": str(done.rows), "X-Without-Text": str(done.without_text), "X-Skipped": str(len(done.skipped))}
    return Response(found, media_type=CSV, headers=told)


@private.get("/model")
async def model(service: Ready) -> ModelInfo:
    """What answers: version, task, labels, columns, model card."""
    m = service.model
    return ModelInfo(version=m.artifact.version, task=m.task, labels=m.labels, text_col=m.text_col,
                 backend=m.backend.name, card=m.artifact.card)  # fmt: skip


@private.post(
    "/reload", responses={409: {"model": Problem, "description": "The new version cannot be read, or does not fit."}}
)
async def reload(service: Ready) -> State:
    """Read the latest version and let it answer; no request is dropped."""
    return State(status="reloaded", version=await service.reload())


@public.get("/health")
async def health() -> State:
    """Whether the process is there."""
    return State(status="ok")


@public.get("/ready", responses=_problems(503))
async def ready(service: Ready) -> State:
    """Whether the model answers."""
    return State(status="ready", version=service.model.artifact.version)


@public.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> PlainTextResponse:
    """Counts and times, for Prometheus."""
    return PlainTextResponse(request.app.state.service.telemetry.text(), media_type="text/plain; version=0.0.4")


@public.get("/", response_class=HTMLResponse)
async def page() -> HTMLResponse:
    """The page for people."""
    content = importlib.resources.files("kickbert.serving").joinpath("serve_page.html").read_text(encoding="utf-8")
    return HTMLResponse(content, headers={"Content-Security-Policy": POLICY})


def _plain(texts: list, settings: Settings) -> list[str | dict[str, str]]:
    """The texts of a request as strings and dicts; too many, or too long, are refused."""
    if len(texts) > settings.most_texts:
        raise HTTPException(413, f"{len(texts):,} texts; send {settings.most_texts:,} at most at a time")
    found = [text if isinstance(text, str) else text.model_dump(by_alias=True) for text in texts]
    for i, text in enumerate(found):
        longest = max(map(len, text.values() if isinstance(text, dict) else [text]))
        if longest > settings.most_chars:
            raise HTTPException(413, f"text {i} has {longest:,} characters; send {settings.most_chars:,} at most")
    return found


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

    app = FastAPI(title="kickbert", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    app.include_router(public)
    guarded = {"dependencies": [Depends(_authorised)], "responses": _problems(401)} if settings.api_key else {}
    for router in (private, _asking(settings)):
        app.include_router(router, **guarded)
    app.add_middleware(BodyLimit, most=settings.most_bytes)
    app.add_middleware(Measured, telemetry=service.telemetry)
    _translate(app)
    return app


def _translate(app: FastAPI) -> None:
    """Errors from inside to what a client can act on."""

    def answers(code: int, headers: dict[str, str] | None = None) -> Any:
        async def answer(request: Request, err: Exception) -> JSONResponse:
            return JSONResponse({"detail": str(err) or TOLD[code]}, code, headers)

        return answer

    for kind in (QueueFull, Busy):
        app.add_exception_handler(kind, answers(429, {"Retry-After": "1"}))
    app.add_exception_handler(TimeoutError, answers(504))
    app.add_exception_handler(ArtifactError, answers(409))
    app.add_exception_handler(ValueError, answers(422))


def serve(settings: Settings, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve until told to stop; requests that were taken are finished first. No text is ever logged."""
    import uvicorn

    app = create_app(settings)
    uvicorn.run(app, host=host, port=port, timeout_graceful_shutdown=int(settings.timeout) + 5, server_header=False)
