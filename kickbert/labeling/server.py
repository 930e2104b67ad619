"""`kickbert label`: a table and a database → the labeling page on a local port."""

import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
from fastapi import FastAPI

from kickbert.labeling.app import LOCAL, create_app
from kickbert.labeling.artifact_training import train_from_labels
from kickbert.labeling.background import Embed, ZeroShot
from kickbert.labeling.child_process import ChildProcess
from kickbert.labeling.classes import ClassList, add_classes
from kickbert.labeling.database import LabelDatabase
from kickbert.labeling.encoder_tuning import EncoderTuning
from kickbert.labeling.session import LabelingSession, Settings
from kickbert.labeling.tables import add_table, check_table
from kickbert.text.text_columns import DEFAULT, find_text_columns
from kickbert.utils.extras import require
from kickbert.utils.sockets import open_socket


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
    """Serve a labeling page until it is stopped. A restart resumes where it was.

    Args:
        rows: DataFrame; None to continue with the rows in the database.
        out: File of the database; created if it does not exist.
        text_col: Text columns; None for those of the database or, in a new one, "text" or the only column that looks
            like text.
        classes: Class names; the page can add more.
        label_col: Column of labels that some rows already have.
        task: "single label", "multi-label", or "ordinal" with the classes from low to high; None for that of the
            database.
        model: Sentence encoder of the page and of the model that its button trains: hub id, folder or "minilm".
        settings: Settings for choosing and showing texts.
        artifact: Folder of the model that the page's button trains; None for models/<name> beside the database.
        who: Name saved with each label; None for the user's.
        host: Address to listen on; by default only this machine can reach it.
        port: Port to listen on.
        source: Name of the table.
    Raises:
        ValueError: A column is missing, the database does not match, or the port is in use.
        ImportError: The extra `kickbert[label]` is not installed.
    """
    out = Path(out).expanduser()
    artifact = Path(artifact or out.parent / "models" / out.stem)
    with open_socket(host, port) as listening:
        if rows is not None and not out.exists():  # no database for a table that cannot be labeled
            text_col = find_text_columns(rows, text_col or DEFAULT, [label_col])
            check_table(rows, text_col, label_col)
        embed, zero_shot = _models(model)
        database = LabelDatabase(out, text_col, task)
        changes = add_table(database, rows, label_col, source) if rows is not None else None
        add_classes(ClassList(database), classes)
        session = LabelingSession(database, embed, zero_shot, settings, EncoderTuning(out, model))
        training = ChildProcess(train_from_labels, out, artifact, model)
        app = create_app(session, training, who, local=host in LOCAL)
        for line in changes.described(source, out) if changes else []:
            print(line)
        if host not in LOCAL:
            print(f"{host}: anyone who can reach this host can read and label the texts")
        address = f"[{host}]" if ":" in host else host
        print(f"label at http://{address}:{port}   (Ctrl-C ends; every label is saved at once)", flush=True)
        session.model.start()
        _run(app, listening)
    session.model.stop()
    trained = training.status().get("folder")
    database.close()
    print(f"labels: {out}")
    print(f"next: kickbert serve {artifact}" if trained else f"next: kickbert train {out} --out {artifact}")


def _run(app: FastAPI, listening: socket.socket) -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    import uvicorn

    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):  # uvicorn shuts down in order, then raises the signal again
        uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False)).run(sockets=[listening])


def _models(model: str) -> tuple[Embed, ZeroShot]:
    """Return the embedder and the zero-shot classifier of an encoder. Imports now, so that the page never waits."""
    require("skactiveml", extra="label")
    import skactiveml.pool  # noqa: F401

    from kickbert.cache.embeddings import embed
    from kickbert.inference.zero_shot_classification import zero_shot

    def from_names(texts: list[str], classes: dict[str, str | None]) -> pd.DataFrame:
        return zero_shot(texts, labels={name: text or name for name, text in classes.items()}, model=model)

    return lambda texts: embed(texts, model), from_names
