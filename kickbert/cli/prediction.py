"""Commands that use a model: predict, export, bench."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kickbert.cli.arguments import (
    FORMAT_HELP,
    KINDS,
    Backend,
    Encoding,
    Functions,
    Json,
    Missing,
    Model,
    Rows,
    Separator,
    Texts,
)
from kickbert.cli.functions import own_functions
from kickbert.cli.output import print_result, prints_to_stderr, table
from kickbert.cli.output_files import check_output
from kickbert.cli.rows import check_model_columns, read_model_rows
from kickbert.utils.messages import listed, plural


def predict(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help=f"table of rows: {KINDS}; or a folder of .parquet files")
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="output file, format taken from its extension; an output folder if the input is a folder",
        ),
    ],
    model: Annotated[Path, typer.Option(help="model folder: models/k, or a version such as models/k/v3")],
    text: Texts = None,
    min_confidence: Annotated[float | None, typer.Option(help="leave the label empty below this confidence")] = None,
    backend: Backend = "auto",
    functions: Functions = None,
    missing: Missing = "refuse",
    encoding: Encoding = None,
    sep: Separator = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="column to copy to the output; repeat for several (default: all)")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="for folders: ray, for several processes or a cluster (default: this process)")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="for --engine ray: number of workers (default: one per core)")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the output file if it exists")] = False,
    json: Json = False,
) -> None:
    """Predict every row of a file of any size or a folder of Parquet files. Folder runs resume where they stopped."""
    from dataclasses import asdict

    _check_options(source.is_dir(), encoding, sep, engine, workers)
    if not source.is_dir():
        check_model_columns(model, source, encoding, sep, text, keep or (), missing)
        check_output(out, source, overwrite)
    from kickbert.inference.batch_prediction import PredictedFile, predict_file
    from kickbert.inference.folders import PredictedFolder, predict_folder
    from kickbert.inference.predictor import load

    with prints_to_stderr(json):
        loaded = load(model, backend, functions=own_functions(functions), missing=missing)
        if source.is_dir():
            done: PredictedFolder | PredictedFile = predict_folder(
                loaded,
                source,
                out,
                text_col=text,
                keep=keep,
                min_confidence=min_confidence,
                engine=engine,
                workers=workers,
            )
        else:
            done = predict_file(
                loaded,
                source,
                out,
                text_col=text,
                keep=keep,
                min_confidence=min_confidence,
                skip_errors=True,
                encoding=encoding,
                sep=sep,
            )
    print_result(asdict(done), json, lambda console: _print_done(console, asdict(done)))


def _check_options(
    folder: bool, encoding: str | None, sep: str | None, engine: str | None, workers: int | None
) -> None:
    """Check that each option applies to the input.

    Raises:
        ValueError: an option does not.
    """
    if folder and (encoding or sep):
        raise ValueError(f"{'--encoding' if encoding else '--sep'} is for text files, but the input is a folder")
    if engine and not folder:
        raise ValueError("--engine is for folders of Parquet files, but the input is a file")
    if engine not in (None, "ray"):
        raise ValueError(f"--engine {engine} is not available; use --engine ray, or leave it out")
    if workers and not engine:
        raise ValueError("--workers needs --engine ray")


def _print_done(console: Any, done: dict[str, Any]) -> None:
    """Print a summary of the predicted rows."""
    rows = plural(done["rows"], "row")
    console.print(f"{rows} → {done['out']}", highlight=False)
    if done.get("resumed"):
        console.print(f"{done['resumed']:,} of {plural(done['files'], 'file')} finished in an earlier run")
    if done["without_text"]:
        first = done["first_without_text"]
        console.print(f"{plural(done['without_text'], 'row')} without text, without a prediction: {first}")
    if done["without_label"]:
        share = done["without_label"] / done["rows"]
        console.print(f"{plural(done['without_label'], 'row')} ({share:.1%}) without a label: confidence too low")
    if done["failed"]:
        errors = [entry if isinstance(entry, str) else f"row {entry[0]}: {entry[1]}" for entry in done["first_failed"]]
        console.print(f"{plural(done['failed'], 'row')} raised errors, without a prediction: {'; '.join(errors)}")
    if done.get("skipped"):
        console.print(
            f"{plural(done['skipped_lines'], 'line')} could not be read: {listed(done['skipped'], 20, '; ')}",
            markup=False,
        )
    for note in done["notes"]:
        console.print(note, markup=False)


def export(
    model: Model,
    rows: Rows,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help=f"{FORMAT_HELP} (default: onnx, onnx-int8)")
    ] = None,
    limit: Annotated[float, typer.Option(help="maximum loss of the main score by int8, in percentage points")] = 0.5,
    force: Annotated[bool, typer.Option("--force", help="keep the int8 model even if it loses more")] = False,
    functions: Functions = None,
    encoding: Encoding = None,
    sep: Separator = None,
    json: Json = False,
) -> None:
    """Export a model to ONNX and int8, and check each against PyTorch on labeled rows (such as validation rows)."""
    with prints_to_stderr(json):
        df = read_model_rows(model, rows, encoding, sep)
        import kickbert

        exports = kickbert.export(
            model, df, formats or ["onnx", "onnx-int8"], limit=limit, force=force, functions=own_functions(functions)
        )
    title = "Exported models; scores in percentage points"
    print_result(exports, json, lambda console: console.print(table(exports, title)))


def bench(
    model: Model,
    rows: Annotated[Path | None, typer.Argument(help=f"table of rows: {KINDS}; default: synthetic texts")] = None,
    batch_size: Annotated[
        list[int] | None, typer.Option(help="batch size; repeat for several (default: 1, 8, 32, 128)")
    ] = None,
    seconds: Annotated[float, typer.Option(help="seconds per measurement")] = 3.0,
    backend: Backend = "auto",
    functions: Functions = None,
    encoding: Encoding = None,
    sep: Separator = None,
    json: Json = False,
) -> None:
    """Benchmark throughput and latency by batch size."""
    with prints_to_stderr(json):
        df = read_model_rows(model, rows, encoding, sep) if rows else None
    from kickbert.inference.benchmarking import SIZES, benchmark
    from kickbert.inference.predictor import load

    with prints_to_stderr(json):
        loaded = load(model, backend, functions=own_functions(functions))
        texts = [f"a short text of a dozen words, as people write in review {i}" for i in range(1_000)]
        if df is not None:
            texts = loaded.read(df)[0]
        timings = benchmark(loaded, texts, batch_size or SIZES, seconds)
    title = f"Backend {loaded.backend.name}, {plural(loaded.backend.workers, 'worker')}"
    print_result(timings, json, lambda console: console.print(table(timings, title)))
