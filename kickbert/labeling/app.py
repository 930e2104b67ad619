"""A local page to label on: one text at a time, each label on disk before the next text shows."""

import importlib.resources
import os
import signal
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from errno import EADDRINUSE
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import pandas as pd
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware

from kickbert import __version__
from kickbert.labeling.background import Embed, ZeroShot
from kickbert.labeling.classes import ClassList, add_classes
from kickbert.labeling.database import LabelDatabase
from kickbert.labeling.session import LabelingSession, Settings
from kickbert.labeling.tables import add_table, check_table, labels_frame, write_labels
from kickbert.labeling.tuning import EncoderTuning, TaskProcess, train_from_labels
from kickbert.utils.extras import require

# The page brings all it needs with it, and nothing else is to run in it.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "frame-ancestors 'none'"
)
LOCAL = ("127.0.0.1", "localhost")
AHEAD = 3  # texts of a browser: the one that it shows, and two more
TYPES = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Ask(BaseModel):
    """Who asks."""

    browser: Name
    who: Name


class GivenLabel(Ask):
    """A label of a row; none to skip it."""

    row: int
    label: Name | Annotated[list[Name], Field(max_length=1_000)] | None
    seconds: Annotated[float, Field(ge=0)] | None = None
    note: Annotated[str, Field(max_length=2_000)] | None = None
    request: Name


class Back(Ask):
    """The label before one of an id; the last one without."""

    before: int | None = None


class NewClass(BaseModel):
    """A class to add."""

    name: Annotated[str, Field(max_length=1_000)]
    description: Annotated[str, Field(max_length=2_000)] | None = None


class OtherName(BaseModel):
    """A class, and what it is to be called."""

    name: Name
    new: Annotated[str, Field(max_length=1_000)]


async def _same_origin(request: Request) -> None:
    """Another site that is open in the same browser must not label here."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPException(403, f"{origin} is another site; labels are taken from this page alone")


def _session(request: Request) -> LabelingSession:
    return request.app.state.session


Session = Annotated[LabelingSession, Depends(_session)]
router = APIRouter(prefix="/api", dependencies=[Depends(_same_origin)])


@router.get("/progress")
def progress(request: Request, session: Session) -> dict[str, Any]:
    """All that the page shows beside the text."""
    state = request.app.state
    return session.progress() | {"who": state.who, "training": state.training.status()}


@router.post("/next")
def next_texts(ask: Ask, session: Session) -> list[dict[str, Any]]:
    """The texts to show next."""
    return session.next(ask.browser, AHEAD)


@router.post("/labels")
def label(given: GivenLabel, session: Session) -> dict[str, Any]:
    """Keep a label: it is on disk when this answers, and the page, which has the next text already, moves on."""
    more = {"seconds": given.seconds, "note": given.note, "request": given.request}
    return {"id": session.label(given.row, given.label, given.who, **more)}


@router.post("/undo")
def undo(ask: Ask, session: Session) -> dict[str, Any] | None:
    """Take the last label back."""
    return session.undo(ask.browser, ask.who)


@router.post("/back")
def back(ask: Back, session: Session) -> dict[str, Any] | None:
    """A text that was labelled before, with its label."""
    return session.back(ask.who, ask.before)


@router.get("/rows/{row}")
def row(row: int, session: Session) -> dict[str, Any]:
    """A text to look at again."""
    return session.item(row)


@router.get("/words/{row}")
def words(row: int, session: Session, label: Annotated[list[Name], Query()]) -> dict[str, Any]:
    """What each word adds to what was suggested."""
    explanation = session.words(row, label)
    if explanation is None:
        return {"label": None, "words": []}
    scores = zip(explanation.words, explanation.scores.tolist(), strict=True)
    return {"label": explanation.label, "words": [{"word": word, "score": score} for word, score in scores]}


@router.post("/classes")
def add_class(new: NewClass, session: Session) -> dict[str, str]:
    """Add a class."""
    return {"name": session.classes.add(new.name, new.description)}


@router.post("/classes/rename")
def rename_class(other: OtherName, session: Session) -> dict[str, str]:
    """Rename a class, or merge it into the one that is called so."""
    return {"name": session.classes.rename(other.name, other.new)}


@router.post("/classes/split")
def split_class(merged: NewClass, session: Session) -> dict[str, str]:
    """Make a class of its own again of one that was merged."""
    session.classes.split_off(merged.name)
    return {"name": merged.name}


@router.post("/train")
def train(request: Request) -> dict[str, Any]:
    """Begin to train an artifact."""
    request.app.state.training.start()
    return request.app.state.training.status()


@router.get("/labels{ending}")
def export(ending: str, session: Session) -> Response:
    """The labels as a file."""
    with tempfile.TemporaryDirectory() as folder:
        write_labels(labels_frame(session.database), file := Path(folder) / "labels", ending)
        content = file.read_bytes()
    name = session.database.file.stem.encode("ascii", "replace").decode().replace('"', "")
    headers = {"Content-Disposition": f'attachment; filename="{name}{ending}"'}
    return Response(content, media_type=TYPES[ending], headers=headers)


def page() -> HTMLResponse:
    """The page."""
    content = importlib.resources.files("kickbert.labeling").joinpath("label_page.html").read_text(encoding="utf-8")
    return HTMLResponse(content, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})


def create_app(session: LabelingSession, training: TaskProcess, who: str | None = None, local: bool = True) -> FastAPI:
    """The page and what it talks to, as an ASGI application.

    Args:
        session: started and stopped by whoever made it.
        training: of an artifact, begun by the page's button.
        who: the name that labels are kept under, unless the page says another; None for the user's.
        local: whether only requests to this very machine's own names are answered.
    """
    app = FastAPI(title="kickbert label", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.session, app.state.training, app.state.who = session, training, who or os.environ.get("USER") or "me"
    app.get("/", response_class=HTMLResponse)(page)
    app.get("/ready")(lambda: {"status": "ready"})
    app.include_router(router)
    if local:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL))
    for kind, code in ((ValueError, 422), (ImportError, 422), (OSError, 503)):
        answer = lambda request, err, code=code: JSONResponse({"detail": str(err)}, code)  # noqa: E731
        app.add_exception_handler(kind, answer)
    return app


def label_rows(
    rows: pd.DataFrame | None,
    out: str | Path,
    *,
    text_col: Sequence[str] | None = None,
    classes: Sequence[str] = (),
    label_col: str | None = None,
    task: str | None = None,
    model: str = "minilm",
    settings: Settings | None = None,
    artifact: str | Path | None = None,
    who: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8010,
    source: str = "the table",
) -> None:
    """Open a page to label on, until it is stopped; started again, it goes on where it was.

    Args:
        rows: the table; None to go on with the rows that are in the database.
        out: file of the database; made where it is not there.
        text_col: text columns; None for those of the database, or "text" in a new one.
        classes: names of classes; more can be added on the page.
        label_col: of labels that some rows have already.
        task: "single label", "multi-label", or "ordinal" with the classes from low to high; None as for the database.
        model: the encoder: hub id, folder or "minilm".
        settings: how texts are chosen and shown.
        artifact: folder of the model that the page's button trains; None for models/<name> beside the database.
        who: name that labels are kept under; None for the user's.
        host, port: of the page; by default nobody but this machine reaches it.
        source: the table's name.
    Raises:
        ValueError: a column that is not there, another database, a port in use.
        ImportError: the extra `kickbert[label]` is not installed.
    """
    import uvicorn

    listening, out = open_socket(host, port), Path(out)
    with listening:
        if rows is not None and not out.exists():  # nothing is made of a table that cannot be labelled
            check_table(rows, text_col := text_col or ["text"], label_col)
        models, artifact = _models(model), Path(artifact or out.parent / "models" / out.stem)
        database = LabelDatabase(out, text_col, task)
        changes = add_table(database, rows, label_col, source) if rows is not None else None
        add_classes(ClassList(database), classes)
        session = LabelingSession(database, *models, settings, EncoderTuning(out, model))
        training = TaskProcess(train_from_labels, out, artifact, model)
        app = create_app(session, training, who, local=host in LOCAL)
        for line in changes.described(source, out) if changes else []:
            print(line)
        if host not in LOCAL:
            print(f"{host}: whoever reaches this machine can read the texts and label them")
        address = f"[{host}]" if ":" in host else host
        print(f"label at http://{address}:{port}   (Ctrl-C ends; every label is on disk at once)", flush=True)
        session.model.start()
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):  # uvicorn ends in order, then sends itself the signal again
            uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False)).run(sockets=[listening])
    session.model.stop()
    database.close()
    print(f"{out} has all labels; train a model: kickbert train {out} --out {artifact}")


def _models(model: str) -> tuple[Embed, ZeroShot]:
    """The embedder and the zero-shot classifier of an encoder; loaded now, since importing would stop the page."""
    require("skactiveml", extra="label")
    import skactiveml.pool  # noqa: F401

    from kickbert.cache.embeddings import embed
    from kickbert.inference.zero_shot_classification import zero_shot

    def from_names(texts: list[str], classes: dict[str, str | None]) -> pd.DataFrame:
        return zero_shot(texts, labels={name: text or name for name, text in classes.items()}, model=model)

    return lambda texts: embed(texts, model), from_names


def open_socket(host: str, port: int) -> socket.socket:
    """A socket that listens; one that is in use says so in a sentence.

    Raises:
        ValueError: the port is another program's, or the host is none of this machine.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as err:
        listening.close()
        reason = "is in use by another program" if err.errno == EADDRINUSE else f"cannot be used: {err.strerror}"
        raise ValueError(f"port {port} of {host} {reason}; give another one, such as --port {port + 1}") from err
    return listening
