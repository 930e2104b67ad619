"""Commands that use a model: predict, export, bench."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kickbert.cli.arguments import KINDS, Backend, Encoding, Json, Model, Rows, Separator, Texts
from kickbert.cli.output import print_result, prints_to_stderr, table


def predict(
    source: Annotated[Path, typer.Argument(metavar="IN", help=f"table of rows: {KINDS}")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="file of the predictions, of a kind its ending names")],
    model: Annotated[Path, typer.Option(help="folder of the model")],
    text: Texts = None,
    min_confidence: Annotated[float | None, typer.Option(help="confidence below which a row gets no label")] = None,
    backend: Backend = "auto",
    encoding: Encoding = None,
    sep: Separator = None,
    json: Json = False,
) -> None:
    """Predict the rows of a file of any size."""
    from dataclasses import asdict

    from kickbert.inference.batch_prediction import predict_file
    from kickbert.inference.predictor import load

    options = {"text_col": text, "min_confidence": min_confidence, "encoding": encoding, "sep": sep}
    with prints_to_stderr(json):
        done = predict_file(load(model, backend), source, out, **options)

    def as_text(console: Any) -> None:
        console.print(f"{done.rows:,} rows → {done.out}", highlight=False)
        if done.without_text:
            console.print(
                f"{done.without_text:,} rows without text have no prediction: rows {done.first_without_text} …"
            )
        if done.skipped:
            console.print(f"{len(done.skipped):,} lines could not be read: {'; '.join(done.skipped[:20])}")
        for note in done.notes:
            console.print(note)

    print_result(asdict(done), json, as_text)


def export(
    model: Model,
    rows: Rows,
    form: Annotated[list[str] | None, typer.Option("--form", help="onnx, onnx-int8, onnx-fp16 or torch-export")] = None,
    limit: Annotated[float, typer.Option(help="loss of score that int8 may cost, in percentage points")] = 0.5,
    force: Annotated[bool, typer.Option("--force", help="keep an int8 model that costs more")] = False,
    encoding: Encoding = None,
    sep: Separator = None,
    json: Json = False,
) -> None:
    """Export a model to ONNX and int8, each compared with torch on labelled rows (validation rows, say)."""
    import kickbert
    from kickbert.data.table_files import read_rows
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
    from kickbert.data.table_files import read_rows
    from kickbert.inference.benchmarking import SIZES, benchmark
    from kickbert.inference.predictor import load

    with prints_to_stderr(json):
        loaded = load(model, backend)
        texts = [f"a short text of a dozen words, as people write in review {i}" for i in range(1_000)]
        if rows:
            texts = loaded.read(read_rows(rows, encoding, sep, loaded.text_col))[0]
        timings = benchmark(loaded, texts, batch_size or SIZES, seconds)
    title = f"Backend {loaded.backend.name}, {loaded.backend.workers} workers"
    print_result(timings, json, lambda console: console.print(table(timings, title)))
