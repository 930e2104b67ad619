"""`kickbert label`: a web page for labeling texts."""

import csv
from pathlib import Path
from typing import Annotated

import typer

from kickbert.cli.arguments import KINDS, Encoding, Json, Separator, Texts
from kickbert.cli.output import print_result, prints_to_stderr
from kickbert.cli.rows import read_columns
from kickbert.cli.tasks import task_name


def label(
    rows: Annotated[Path, typer.Argument(help=f"table of texts: {KINDS}; or labels.db to continue")],
    out: Annotated[Path, typer.Option(help="file for the labels")] = Path("labels.db"),
    text: Texts = None,
    labels: Annotated[
        str, typer.Option(help="class names, comma-separated: 'sport,\"arts, crafts\"'; you can add more on the page")
    ] = "",
    label_col: Annotated[
        str | None, typer.Option("--label", "--target", help="column of labels that some rows already have")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            parser=task_name, metavar="TASK", help="single-label, multi-label, or ordinal (classes from low to high)"
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="sentence encoder: hub id, folder, or minilm (no network)")] = "minilm",
    strategy: Annotated[
        str, typer.Option(help="query strategy: breaking_ties, entropy, core_set, badge, random, …")
    ] = "breaking_ties",
    artifact: Annotated[Path | None, typer.Option(help="folder for the model trained on the page")] = None,
    who: Annotated[str | None, typer.Option(help="your name, saved with each label")] = None,
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 for the whole network")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="port to listen on")] = 8010,
    encoding: Encoding = None,
    sep: Separator = None,
    json: Json = False,
) -> None:
    """Open a labeling page in the browser; a model learns as you label."""
    from kickbert.utils.extras import require

    require("fastapi", extra="label")
    from kickbert.labeling.server import label_rows
    from kickbert.labeling.session import Settings
    from kickbert.labeling.tables import read

    if rows.suffix == ".db" and (encoding or sep):
        raise ValueError(f"{'--encoding' if encoding else '--sep'} is for text files, but {rows} is a label database")
    df = None
    if rows.suffix == ".db":
        out = rows
    else:
        names = [label_col] if label_col else []
        with prints_to_stderr(json):
            df, text = read_columns(rows, encoding, sep, text or _known_columns(out), names, label=label_col)
    classes = [name for name in next(csv.reader([labels], skipinitialspace=True), []) if name.strip()]
    with prints_to_stderr(json):
        label_rows(
            df,
            out,
            text_col=text,
            classes=classes,
            label_col=label_col,
            task=task,
            model=model,
            settings=Settings(strategy),
            artifact=artifact,
            who=who,
            host=host,
            port=port,
            source=rows.name,
        )
    if json:
        print_result({"labels": str(out), "labeled": len(read(out))}, json, print)


def _known_columns(out: Path) -> list[str] | None:
    """Return the text columns of an existing database; None if there is none."""
    from kickbert.labeling.database import LabelDatabase

    if not out.expanduser().exists():
        return None
    database = LabelDatabase(out)
    database.close()
    return database.text_col
