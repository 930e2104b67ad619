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

from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.security import APIKeyHeader

from kickbert import __version__
from kickbert.artifact import ArtifactError
from kickbert.batching import QueueFull
from kickbert.contract import About, Answers, Ask, Because, Problem, State, Why
from kickbert.limits import BodyLimit
from kickbert.service import Busy, Service, Settings
from kickbert.telemetry import Measured

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


def _service(request: Request) -> Service:
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
private = APIRouter(dependencies=[Depends(_authorised)], responses=_problems(401, 503))


@private.post("/predict", response_model=Answers, responses=_problems(400, 413, 422, 429, 504))
async def predict(ask: Ask, service: Ready) -> Response:
    """Label one text or many."""
    texts = ask.texts if isinstance(ask.texts, list) else [ask.texts]
    _check(texts, service)
    if ask.min_confidence is not None and service.model.task in ("multi-label", "regression"):
        raise HTTPException(422, f"min_confidence needs one label a text; the task is {service.model.task}")
    found = await service.predict(texts, ask.min_confidence)
    # As bytes at once: to check our own answer against the contract takes longer than to make it.
    return Response(json.dumps(found), media_type="application/json")


@private.post("/explain", response_model=Because, responses=_problems(400, 413, 422, 429))
async def explain(why: Why, service: Ready) -> dict:
    """Which words of a text speak for and against a class."""
    _check([why.text], service)
    return await service.explain(why.text, why.label)


@private.post(
    "/label",
    response_class=Response,
    responses={
        200: {"content": {CSV: {"schema": {"type": "string"}}}, "description": "The rows with answers beside them."},
        **_problems(413, 422),
    },
)
async def label(content: Annotated[bytes, Body(media_type=CSV)], service: Ready) -> Response:
    """Label the rows of a CSV file that has the model's text columns."""
    found, done = await service.label(content)
    told = {"X-Rows": str(done.rows), "X-Without-Text": str(done.without_text), "X-Skipped": str(len(done.skipped))}
    return Response(found, media_type=CSV, headers=told)


@private.get("/model")
async def model(service: Ready) -> About:
    """What answers: version, task, labels, columns, model card."""
    m = service.model
    return About(version=m.artifact.version, task=m.task, labels=m.labels, text_col=m.text_col,
                 backend=m.backend.name, card=m.artifact.card)  # fmt: skip


@private.post("/reload", responses={409: {"model": Problem, "description": "The new version cannot be read."}})
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
    content = importlib.resources.files("kickbert").joinpath("serve_page.html").read_text(encoding="utf-8")
    return HTMLResponse(content, headers={"Content-Security-Policy": POLICY})


def _check(texts: list, service: Service) -> None:
    """Refuse texts that are too many, too long, or without the model's columns."""
    how, columns = service.settings, set(service.model.text_col)
    if len(texts) > how.most_texts:
        raise HTTPException(413, f"{len(texts):,} texts; send {how.most_texts:,} at most at a time")
    for i, text in enumerate(texts):
        given = set(text) if isinstance(text, dict) else columns
        if given != columns or (isinstance(text, str) and len(columns) > 1):
            raise HTTPException(422, f"text {i} must be an object with the texts {sorted(columns)} and no others")
        longest = max(map(len, text.values() if isinstance(text, dict) else [text]))
        if longest > how.most_chars:
            raise HTTPException(413, f"text {i} has {longest:,} characters; send {how.most_chars:,} at most")


def create_app(settings: Settings) -> FastAPI:
    """The service as an ASGI application."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        await service.start()
        with suppress(
            ValueError, RuntimeError, NotImplementedError, AttributeError
        ):  # not in a main thread, or Windows
            asyncio.get_running_loop().add_signal_handler(
                signal.SIGHUP, lambda: asyncio.ensure_future(service.reload())
            )
        yield
        await service.stop()

    app = FastAPI(title="kickbert", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    app.include_router(public)
    app.include_router(private)
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
