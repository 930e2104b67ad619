"""`kickbert label`: a page to label texts on."""

from pathlib import Path
from typing import Annotated

import typer

from kickbert.cli.arguments import KINDS, Json, Texts
from kickbert.cli.output import print_result, prints_to_stderr


def label(
    rows: Annotated[Path, typer.Argument(help=f"table of rows: {KINDS}; or labels.db, to go on")],
    out: Annotated[Path, typer.Option(help="file of the labels")] = Path("labels.db"),
    text: Texts = None,
    labels: Annotated[str, typer.Option(help="classes, comma-separated; the page can add more")] = "",
    target: Annotated[str | None, typer.Option(help="column of labels that some rows already have")] = None,
    task: Annotated[
        str | None, typer.Option(help='"single label", "multi-label", "ordinal" (from low to high)')
    ] = None,
    model: Annotated[str, typer.Option(help="pretrained model: hub id, folder, or minilm (no network)")] = "minilm",
    strategy: Annotated[
        str, typer.Option(help="query strategy: breaking_ties, entropy, core_set, badge, random, …")
    ] = "breaking_ties",
    artifact: Annotated[Path | None, typer.Option(help="folder of the model that the page trains")] = None,
    who: Annotated[str | None, typer.Option(help="annotator: the name that labels are kept under")] = None,
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 for the whole network")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on")] = 8010,
    json: Json = False,
) -> None:
    """Open a page to label texts on, with a model that learns meanwhile."""
    from kickbert.utils.extras import require

    require("fastapi", extra="label")
    from kickbert.data.tables.reading import read_rows
    from kickbert.labeling.app import label_rows
    from kickbert.labeling.session import Settings
    from kickbert.labeling.tables import read

    df, out = (None, rows) if rows.suffix == ".db" else (read_rows(rows), out)
    classes = [name for name in labels.split(",") if name.strip()]
    with prints_to_stderr(json):
        label_rows(
            df, out, text_col=text, classes=classes, label_col=target, task=task, model=model,
            settings=Settings(strategy), artifact=artifact, who=who, host=host, port=port, source=rows.name,
        )  # fmt: skip
    if json:
        print_result({"labels": str(out), "labelled": len(read(out))}, json, print)
