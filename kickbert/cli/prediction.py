"""Commands that use a model: predict, export, bench."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kickbert.cli.arguments import FORM_HELP, KINDS, Backend, Encoding, Json, Model, Rows, Separator, Texts
from kickbert.cli.output import print_result, prints_to_stderr, table


def predict(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help=f"table of rows: {KINDS}; or a folder of .parquet files")
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="file of the predictions, of a kind its ending names; of a folder one")
    ],
    model: Annotated[Path, typer.Option(help="folder of the model")],
    text: Texts = None,
    min_confidence: Annotated[float | None, typer.Option(help="confidence below which a row gets no label")] = None,
    backend: Backend = "auto",
    encoding: Encoding = None,
    sep: Separator = None,
    engine: Annotated[
        str | None, typer.Option(help="of a folder: local for processes of this machine, ray for a cluster's actors")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="of a folder: processes or actors; else one a core")] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="of a folder: column that is written too; repeat for several; else all")
    ] = None,
    json: Json = False,
) -> None:
    """Predict the rows of a file of any size, or of a folder of Parquet files; that goes on where it was stopped."""
    from dataclasses import asdict

    from kickbert.inference.batch_prediction import predict_file
    from kickbert.inference.distributed import predict_dataset
    from kickbert.inference.predictor import load

    options = {"text_col": text, "min_confidence": min_confidence}
    of_files = {"encoding": encoding, "sep": sep}
    of_folders = {name: value for name, value in (("engine", engine), ("workers", workers), ("keep", keep)) if value}
    folder = source.is_dir() or "engine" in of_folders
    unfit = [name for name, value in (of_files if folder else of_folders).items() if value]
    if unfit:
        kinds = ("a folder of Parquet files", "a file") if folder else ("a file", "a folder of Parquet files")
        raise ValueError(f"--{unfit[0]} is of no use for {kinds[0]}; it is for {kinds[1]}")
    with prints_to_stderr(json):
        loaded = load(model, backend)
        call = predict_dataset if folder else predict_file
        done = call(loaded, source, out, **options, **(of_folders if folder else of_files))
    print_result(asdict(done), json, lambda console: _print_done(console, asdict(done)))


def _print_done(console: Any, done: dict[str, Any]) -> None:
    """What became of the rows of a file or a folder, for people."""
    console.print(f"{done['rows']:,} rows → {done['out']}", highlight=False)
    if done.get("resumed"):
        console.print(f"{done['resumed']:,} of {done['partitions']:,} partitions were there from an earlier run")
    if done["without_text"]:
        first = done["first_without_text"]
        console.print(f"{done['without_text']:,} rows without text have no prediction: rows {first} …")
    if done["without_label"]:
        share = done["without_label"] / done["rows"]
        console.print(f"{done['without_label']:,} rows ({share:.1%}) got no label: the model is not confident enough")
    if done.get("failed"):
        console.print(f"{done['failed']:,} rows could not be predicted: {'; '.join(done['first_failed'])}")
    if done.get("skipped"):
        console.print(f"{len(done['skipped']):,} lines could not be read: {'; '.join(done['skipped'][:20])}")
    for note in done["notes"]:
        console.print(note)


def export(
    model: Model,
    rows: Rows,
    form: Annotated[list[str] | None, typer.Option("--form", help=FORM_HELP)] = None,
    limit: Annotated[float, typer.Option(help="loss of score that int8 may cost, in percentage points")] = 0.5,
    force: Annotated[bool, typer.Option("--force", help="keep an int8 model that costs more")] = False,
    encoding: Encoding = None,
    sep: Separator = None,
    json: Json = False,
) -> None:
    """Export a model to ONNX and int8, each compared with torch on labelled rows (validation rows, say)."""
    import kickbert
    from kickbert.data.tables.reading import read_rows
    from kickbert.models.artifact import read_artifact

    with prints_to_stderr(json):
        df = read_rows(rows, encoding, sep, read_artifact(model).metadata["text_col"])
        exports = kickbert.export(model, df, form or ["onnx", "onnx-int8"], limit=limit, force=force)
    title = "Exported models; scores in percentage points"
    print_result(exports, json, lambda console: console.print(table(exports, title)))


def bench(
    model: Model,
    rows: Annotated[Path | None, typer.Argument(help=f"table of rows: {KINDS}; synthetic texts without it")] = None,
    batch_size: Annotated[list[int] | None, typer.Option(help="batch size; repeat for several")] = None,
    seconds: Annotated[float, typer.Option(help="duration of each measurement")] = 3.0,
    backend: Backend = "auto",
    encoding: Encoding = None,
    sep: Separator = None,
    json: Json = False,
) -> None:
    """Benchmark throughput and latency by batch size."""
    from kickbert.data.tables.reading import read_rows
    from kickbert.inference.backends import SIZES, benchmark
    from kickbert.inference.predictor import load

    with prints_to_stderr(json):
        loaded = load(model, backend)
        texts = [f"a short text of a dozen words, as people write in review {i}" for i in range(1_000)]
        if rows:
            texts = loaded.read(read_rows(rows, encoding, sep, loaded.text_col))[0]
        timings = benchmark(loaded, texts, batch_size or SIZES, seconds)
    title = f"Backend {loaded.backend.name}, {loaded.backend.workers} workers"
    print_result(timings, json, lambda console: console.print(table(timings, title)))
