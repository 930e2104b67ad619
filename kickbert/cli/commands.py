"""The command line: `kickbert train`, `evaluate`, `predict`, `report`, `explore`, `export`, `serve`, `bench`, `doctor`.

What a command needs is imported inside it, so that `kickbert --help` comes at once.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from kickbert import __version__
from kickbert.cli.output import apart, run, show, table

app = typer.Typer(
    help="A table of text becomes a fine-tuned classifier: train it, judge it, use it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Model = Annotated[Path, typer.Argument(help="folder that `kickbert train` wrote: models/k, or a version, models/k/v3")]
Rows = Annotated[Path, typer.Argument(help="rows: .csv, .tsv, .jsonl (also .gz) or .parquet")]
Json = Annotated[bool, typer.Option("--json", help="print JSON, for machines")]
Texts = Annotated[list[str] | None, typer.Option("--text", help="a text column; again for each further one")]
Backend = Annotated[str, typer.Option(help="onnx-int8, torch-bf16, onnx, torch; auto for the fastest there is")]


def _version(asked: bool) -> None:
    if asked:
        print(f"kickbert {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="show where an error comes from")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """A table of text becomes a fine-tuned classifier: train it, judge it, use it."""


@app.command()
def train(
    rows: Rows,
    out: Annotated[Path, typer.Option(help="folder of the model; each training writes a new version")],
    text: Texts = None,
    target: Annotated[str, typer.Option(help="column to predict")] = "label",
    bins: Annotated[int | None, typer.Option(help="buckets of a numeric target")] = None,
    unit: Annotated[str | None, typer.Option(help='of the buckets\' names, such as "$"')] = None,
    task: Annotated[str | None, typer.Option(help='"single label", "multi-label", "ordinal", "regression"')] = None,
    label_delim: Annotated[str | None, typer.Option(help="what stands between the labels of a cell")] = None,
    model: Annotated[str, typer.Option(help="hub id, folder, or minilm, which needs no network")] = "minilm",
    cleaning: Annotated[str | None, typer.Option(help="auto, heavy, or none")] = None,
    max_length: Annotated[int | None, typer.Option(help="most tokens of a text")] = None,
    long: Annotated[str, typer.Option(help="longer texts: truncate, tail, head+tail, windows")] = "truncate",
    valid: Annotated[float, typer.Option(help="share of the rows to choose by")] = 0.15,
    test: Annotated[float, typer.Option(help="share of the rows to judge by")] = 0.15,
    calibrated: Annotated[bool, typer.Option("--calibrate", help="make probabilities mean what they say")] = False,
    form: Annotated[list[str] | None, typer.Option("--export", help="onnx, onnx-int8; again for each")] = None,
    seed: int = 42,
    json: Json = False,
) -> None:
    """Train a classifier and save it, judged on rows that it never saw."""
    import kickbert
    from kickbert.data.table_files import read_rows

    with apart(json):
        df = kickbert.split(
            read_rows(rows), valid=valid, test=test, label_col=target, label_delim=label_delim, seed=seed
        )
        learn = kickbert.learner_from_df(
            df[df["split"] != "test"], text_col=text or ["text"], label_col=target, model=model, bins=bins,
            bin_format=unit, task=task, label_delim=label_delim, cleaning=cleaning, max_length=max_length, long=long,
            valid="split", seed=seed, path=out,
        )  # fmt: skip
        ladder = learn.fit_gradual()
        if calibrated:
            kickbert.calibrate(learn)
        judged = kickbert.evaluate(learn, df[df["split"] == "test"]) if (df["split"] == "test").any() else None
        folder = learn.save_artifact(out, judged)
        made = kickbert.export(folder, df[df["split"] == "valid"], form) if form else None
    result = {"model": folder, "ladder": ladder, "scores": judged and judged.to_frame(), "exports": made}

    def told(console: Any) -> None:
        console.print(table(ladder, "What each phase brought"))
        if judged is not None:
            console.print(table(judged.to_frame(), f"On {judged.rows:,} rows that it never saw"))
        if made is not None:
            console.print(table(made, "Exported"))
        console.print(f"saved: [bold]{folder}[/]   next: kickbert predict IN OUT --model {out}", highlight=False)

    show(result, json, told)


@app.command()
def evaluate(model: Model, rows: Rows, backend: Backend = "auto", json: Json = False) -> None:
    """ExportComparison a model on rows with labels."""
    import kickbert
    from kickbert.data.table_files import read_rows

    with apart(json):
        found = kickbert.evaluate(kickbert.load(model, backend), read_rows(rows))
    result = {"rows": found.rows, "notes": list(found.predictions.notes), "scores": found.to_frame()}
    if found.classes is not None:
        result["classes"] = found.classes

    def told(console: Any) -> None:
        console.print(table(found.to_frame(), f"{found.rows:,} rows; low and high enclose 95 %"))
        if found.classes is not None:
            console.print(table(found.classes.head(50), "Each class"))
        for note in found.predictions.notes:
            console.print(note)

    show(result, json, told)


@app.command()
def predict(
    source: Annotated[Path, typer.Argument(metavar="IN", help="rows: .csv, .tsv, .jsonl (also .gz) or .parquet")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="file of the predictions; its ending says how")],
    model: Annotated[Path, typer.Option(help="folder of the model")],
    text: Texts = None,
    min_confidence: Annotated[float | None, typer.Option(help="no label below it")] = None,
    backend: Backend = "auto",
    json: Json = False,
) -> None:
    """Label a file of any size."""
    from dataclasses import asdict

    from kickbert.inference.batch_prediction import predict_file
    from kickbert.inference.predictor import load

    with apart(json):
        done = predict_file(load(model, backend), source, out, text_col=text, min_confidence=min_confidence)

    def told(console: Any) -> None:
        console.print(f"{done.rows:,} rows → {done.out}", highlight=False)
        if done.without_text:
            console.print(f"{done.without_text:,} rows have no text and no answer: rows {done.first_without_text} …")
        for line in done.skipped[:20]:
            console.print(f"could not be read: {line}")

    show(asdict(done), json, told)


@app.command()
def report(
    model: Model,
    rows: Rows,
    out: Annotated[Path, typer.Option(help="the page")] = Path("report.html"),
    backend: Backend = "auto",
) -> None:
    """Write one page of how good a model is."""
    import kickbert
    from kickbert.data.table_files import read_rows

    print(kickbert.report(kickbert.load(model, backend), out, read_rows(rows)))


@app.command()
def explore(
    rows: Rows,
    text: Texts = None,
    target: Annotated[str | None, typer.Option(help="column to predict")] = "label",
    out: Annotated[Path, typer.Option(help="the page")] = Path("texts.html"),
    label_delim: Annotated[str | None, typer.Option(help="what stands between the labels of a cell")] = None,
) -> None:
    """Write one page of what the rows hold, before any training."""
    import kickbert
    from kickbert.data.table_files import read_rows

    df = read_rows(rows)
    label = target if target in df.columns else None
    found = kickbert.explore(df, text_col=text or ["text"], label_col=label, label_delim=label_delim)
    print(found.to_html(out))


@app.command()
def export(
    model: Model,
    rows: Rows,
    form: Annotated[list[str] | None, typer.Option("--form", help="onnx, onnx-int8, onnx-fp16, torch-export")] = None,
    limit: Annotated[float, typer.Option(help="points that int8 may cost")] = 0.5,
    force: Annotated[bool, typer.Option("--force", help="keep it at any cost")] = False,
    json: Json = False,
) -> None:
    """Write a model as ONNX and in int8, compared on rows with labels (validation rows, say)."""
    import kickbert
    from kickbert.data.table_files import read_rows

    with apart(json):
        made = kickbert.export(model, read_rows(rows), form or ["onnx", "onnx-int8"], limit=limit, force=force)
    show(made, json, lambda console: console.print(table(made, "Exported; torch and score in points")))


@app.command()
def bench(
    model: Model,
    rows: Annotated[Path | None, typer.Argument(help="rows to take texts from; none for made-up ones")] = None,
    batch_size: Annotated[list[int] | None, typer.Option(help="again for each")] = None,
    seconds: Annotated[float, typer.Option(help="for each batch size")] = 3.0,
    backend: Backend = "auto",
    json: Json = False,
) -> None:
    """Measure texts per second and latency."""
    from kickbert.data.table_files import read_rows
    from kickbert.inference.benchmarking import SIZES, benchmark
    from kickbert.inference.predictor import load

    with apart(json):
        loaded = load(model, backend)
        texts = [f"a short text of a dozen words, as people write in review {i}" for i in range(1_000)]
        texts = loaded.read(read_rows(rows))[0] if rows else texts
        found = benchmark(loaded, texts, batch_size or SIZES, seconds)
    show(
        found,
        json,
        lambda console: console.print(table(found, f"{loaded.backend.name}, {loaded.backend.workers} workers")),
    )


@app.command()
def serve(
    model: Annotated[str, typer.Argument(help="folder of the model, or models:/name@alias of MLflow's registry")],
    host: Annotated[str, typer.Option(help="0.0.0.0 for the whole network")] = "127.0.0.1",
    port: int = 8000,
    api_key: Annotated[str | None, typer.Option(envvar="KICKBERT_API_KEY", help="asked for in X-API-Key")] = None,
    max_body: Annotated[int, typer.Option(help="bytes of a body")] = 10 * 2**20,
    max_chars: Annotated[int, typer.Option(help="characters of a text")] = 100_000,
    max_texts: Annotated[int, typer.Option(help="texts of a request")] = 1_000,
    max_rows: Annotated[int, typer.Option(help="rows of a file")] = 10_000,
    room: Annotated[int, typer.Option(help="texts that may wait")] = 4_096,
    timeout: Annotated[float, typer.Option(help="seconds for a request")] = 4.0,
    file_timeout: Annotated[float, typer.Option(help="seconds for a file")] = 60.0,
    private_metrics: Annotated[bool, typer.Option("--private-metrics", help="the key for /metrics too")] = False,
    threads: Annotated[int | None, typer.Option(help="cores to use")] = None,
    store: Annotated[str | None, typer.Option(help="of MLflow's runs: a folder, or a server's address")] = None,
    backend: Backend = "auto",
) -> None:
    """Serve a model over HTTP, with a page for people at /."""
    from kickbert.utils.extras import require

    require("fastapi", extra="serve")
    from kickbert.serving.server import serve as run_service
    from kickbert.serving.service import Settings

    folder = model
    if model.startswith("models:/"):
        from kickbert.experiments.tracking import fetch

        folder = fetch(model, store)
    key = os.environ.get("KICKBERT_API_KEY") if api_key is None else api_key  # typer takes an empty variable for none
    limits = {"most_bytes": max_body, "most_chars": max_chars, "most_texts": max_texts, "most_rows": max_rows}
    times = {"room": room, "timeout": timeout, "file_timeout": file_timeout}
    settings = Settings(folder, backend, threads, key, private_metrics=private_metrics, **limits, **times)
    run_service(settings, host, port)


@app.command()
def doctor(json: Json = False) -> None:
    """Tell what is installed here, and what this machine can do."""
    from kickbert.cli.doctor import checks

    found = checks()
    show(found, json, lambda console: console.print(table(found, "kickbert doctor")))
    if (found["ok"] == "no").any():
        raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    sys.exit(run(typer.main.get_command(app), "--debug" in sys.argv))
