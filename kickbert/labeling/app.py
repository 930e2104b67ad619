"""The labeling page as an ASGI application."""

import importlib.resources
import os

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from kickbert import __version__
from kickbert.labeling.child_process import ChildProcess
from kickbert.labeling.routes import router
from kickbert.labeling.session import LabelingSession

# The page is self-contained, and nothing else may run in it.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "frame-ancestors 'none'"
)
LOCAL = ("127.0.0.1", "localhost")
STATUS = {ValueError: 422, ImportError: 422, OSError: 503}


def create_app(session: LabelingSession, training: ChildProcess, who: str | None = None, local: bool = True) -> FastAPI:
    """Create the application.

    Args:
        session: A session; the caller starts and stops its model.
        training: The process that the page's button starts.
        who: Name saved with each label unless the page sends another one; None for the user's.
        local: Whether to answer only requests that address this machine by a local name.
    """
    app = FastAPI(title="kickbert label", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.session = session
    app.state.training = training
    app.state.who = who or os.environ.get("USER") or os.environ.get("USERNAME") or "me"
    app.get("/", response_class=HTMLResponse)(page)
    app.get("/ready")(lambda: {"status": "ready"})
    app.include_router(router)
    if local:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL))
    for error in STATUS:
        app.add_exception_handler(error, _answer_error)
    return app


def page() -> HTMLResponse:
    """Return the page."""
    content = importlib.resources.files("kickbert.labeling").joinpath("label_page.html").read_text(encoding="utf-8")
    return HTMLResponse(content, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})


async def _answer_error(request: Request, err: Exception) -> JSONResponse:
    status = next(status for error, status in STATUS.items() if isinstance(err, error))
    return JSONResponse({"detail": str(err)}, status)
