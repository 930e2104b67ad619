"""The API of the page: request bodies and routes under /api."""

import tempfile
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field

from kickbert.labeling.session import LabelingSession
from kickbert.labeling.tables import labels_frame, write_labels

AHEAD = 3  # texts per browser: the one it shows and two more
TYPES = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Asker(BaseModel):
    """The browser and the person who send a request."""

    browser: Name
    who: Name


class NewLabel(Asker):
    """A label of a row; null skips the row. `shown` says whether the page showed the suggestion; a null note stays."""

    row: int
    label: Name | Annotated[list[Name], Field(max_length=1_000)] | None
    seconds: Annotated[float, Field(ge=0)] | None = None
    note: Annotated[str, Field(max_length=2_000)] | None = None
    shown: bool = False
    request: Name


class BackRequest(Asker):
    """A request for the label before the one with an id, or for the last one."""

    before: int | None = None


class NewClass(BaseModel):
    """A class to add."""

    name: Annotated[str, Field(max_length=1_000)]
    description: Annotated[str, Field(max_length=2_000)] | None = None


class Renaming(BaseModel):
    """A class and its new name."""

    name: Name
    new: Annotated[str, Field(max_length=1_000)]


async def check_origin(request: Request) -> None:
    """Refuse requests from other sites that are open in the same browser."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPException(403, f"Requests from {origin} are refused; only this page may label.")


def _session(request: Request) -> LabelingSession:
    return request.app.state.session


Session = Annotated[LabelingSession, Depends(_session)]
router = APIRouter(prefix="/api", dependencies=[Depends(check_origin)])


@router.get("/progress")
def progress(request: Request, session: Session) -> dict[str, Any]:
    """Return everything the page shows beside the text."""
    state = request.app.state
    return session.progress() | {"who": state.who, "training": state.training.status()}


@router.post("/next")
def next_texts(asker: Asker, session: Session) -> list[dict[str, Any]]:
    """Return the texts to show next."""
    return session.next(asker.browser, AHEAD)


@router.post("/labels")
def label(new: NewLabel, session: Session) -> dict[str, Any]:
    """Store a label. It is on disk before the page moves on."""
    added = session.label(
        new.row, new.label, new.who, seconds=new.seconds, note=new.note, shown=new.shown, request=new.request
    )
    return {"id": added}


@router.post("/undo")
def undo(asker: Asker, session: Session) -> dict[str, Any] | None:
    """Undo the last label."""
    return session.undo(asker.browser, asker.who)


@router.post("/back")
def back(body: BackRequest, session: Session) -> dict[str, Any] | None:
    """Return a text that was labeled before, with its label."""
    return session.back(body.who, body.before)


@router.get("/rows/{row}")
def row(row: int, session: Session) -> dict[str, Any]:
    """Return a text to look at again."""
    return session.item(row)


@router.get("/words/{row}")
def words(row: int, session: Session, label: Annotated[list[Name], Query()]) -> dict[str, Any]:
    """Return how much each word supports the suggestion."""
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
def rename_class(renaming: Renaming, session: Session) -> dict[str, str]:
    """Rename a class, or merge it into the class that has the new name."""
    return {"name": session.classes.rename(renaming.name, renaming.new)}


@router.post("/classes/split")
def split_class(merged: NewClass, session: Session) -> dict[str, str]:
    """Make a merged class separate again."""
    session.classes.split_off(merged.name)
    return {"name": merged.name}


@router.post("/train")
def train(request: Request) -> dict[str, Any]:
    """Start training an artifact."""
    request.app.state.training.start()
    return request.app.state.training.status()


@router.get("/labels{ending}")
def export(ending: str, session: Session) -> Response:
    """Return the labels as a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labels"
        write_labels(labels_frame(session.database), file, ending)
        content = file.read_bytes()
    name = session.database.file.stem.encode("ascii", "replace").decode().replace('"', "")
    headers = {"Content-Disposition": f'attachment; filename="{name}{ending}"'}
    return Response(content, media_type=TYPES[ending], headers=headers)
