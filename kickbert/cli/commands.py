"""The command line: `kickbert label`, `train`, `evaluate`, `predict`, `report`, `explore`, `export`, `serve`, …

Commands import what they need when they run, so that `kickbert --help` is fast.
"""

import os
import sys
from functools import partial
from typing import Annotated, Any

import typer

from kickbert import __version__
from kickbert.cli import prediction, training
from kickbert.cli.arguments import Backend, Functions, Json
from kickbert.cli.functions import own_functions
from kickbert.cli.label_command import label
from kickbert.cli.output import print_result, prints_to_stderr, run, table
from kickbert.utils.processes import rank

app = typer.Typer(
    help="Train, evaluate and serve text classifiers from tables of text.",
    pretty_exceptions_enable=False,
)
for command in (
    label, training.train, training.evaluate, prediction.predict, training.report, training.explore, prediction.export,
    prediction.bench,
):  # fmt: skip
    app.command()(command)


def _version(asked: bool) -> None:
    if asked:
        print(f"kickbert {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="print the traceback of an error")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Train, evaluate and serve text classifiers from tables of text."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def serve(
    model: Annotated[
        list[str],
        typer.Argument(
            help="model folder, or models:/name@alias in the MLflow registry; with several, all answer each text"
        ),
    ],
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 for the whole network")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="port to listen on")] = 8000,
    api_key: Annotated[
        str | None, typer.Option(envvar="KICKBERT_API_KEY", help="key that requests must send in X-API-Key")
    ] = None,
    max_body: Annotated[int, typer.Option(help="maximum size of a request body, in bytes")] = 10 * 2**20,
    max_chars: Annotated[int, typer.Option(help="maximum length of a text, in characters")] = 100_000,
    max_texts: Annotated[int, typer.Option(help="maximum number of texts per request")] = 1_000,
    max_rows: Annotated[int, typer.Option(help="maximum number of rows per file")] = 10_000,
    queue_size: Annotated[int, typer.Option(help="maximum number of waiting texts")] = 4_096,
    timeout: Annotated[float, typer.Option(help="timeout per request, in seconds")] = 4.0,
    file_timeout: Annotated[float, typer.Option(help="timeout per file, in seconds")] = 60.0,
    private_metrics: Annotated[
        bool, typer.Option("--private-metrics", help="require the key for /metrics and /openapi.json too")
    ] = False,
    threads: Annotated[int | None, typer.Option(help="number of threads (default: all cores)")] = None,
    example: Annotated[list[str] | None, typer.Option(help="example text on the page; repeat for several")] = None,
    store: Annotated[str | None, typer.Option(help="MLflow tracking store: folder or server URL")] = None,
    backend: Backend = "auto",
    functions: Functions = None,
    json: Json = False,
) -> None:
    """Serve one or more models over HTTP, with a web page at /."""
    from kickbert.utils.extras import require
    from kickbert.utils.sockets import open_socket

    require("fastapi", extra="serve")
    open_socket(host, port).close()  # a port in use is reported before any model is loaded
    from kickbert.serving.server import serve as run_service
    from kickbert.serving.settings import Settings

    folders = [_fetched(name, store) for name in model]
    key = os.environ.get("KICKBERT_API_KEY") if api_key is None else api_key  # typer treats an empty variable as unset
    settings = Settings(
        folders if len(folders) > 1 else folders[0],
        backend,
        threads,
        key,
        private_metrics=private_metrics,
        max_bytes=max_body,
        max_chars=max_chars,
        max_texts=max_texts,
        max_rows=max_rows,
        queue_size=queue_size,
        timeout=timeout,
        file_timeout=file_timeout,
        examples=tuple(example or ()),
        functions=own_functions(functions),
    )
    if json:  # request logs go to standard error
        print_result({"model": ", ".join(map(str, folders)), "url": f"http://{host}:{port}"}, json, print)
    with prints_to_stderr(json):
        run_service(settings, host, port)


def _fetched(model: str, store: str | None) -> Any:
    """Find the folder of a model; download it if it is in the MLflow registry."""
    if not model.startswith("models:/"):
        return model
    from kickbert.experiments.tracking import fetch

    return fetch(model, store)


@app.command()
def doctor(
    train: Annotated[
        bool, typer.Option("--train", help="also train, cache, save and export a small model (half a minute)")
    ] = False,
    json: Json = False,
) -> None:
    """Check the installation and what this machine can do."""
    from kickbert.cli.doctor import checks

    with prints_to_stderr(json):
        results = checks(train)

    def as_text(console: Any) -> None:
        console.print(table(results, "kickbert doctor"))
        if train:
            console.print("Include this table when you report a problem.")

    print_result(results, json, as_text)
    if (results["ok"] == "no").any():
        raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    command = partial(typer.main.get_command(app), prog_name="kickbert")  # also when started as a module
    sys.exit(run(command, "--debug" in sys.argv, "--json" in sys.argv and not rank()))
