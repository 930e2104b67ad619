"""Commands from rows to a model and its evaluation: train, evaluate, report, explore."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kickbert.cli.arguments import Backend, Encoding, Json, Model, Rows, Separator, Texts
from kickbert.cli.output import print_result, prints_to_stderr, table

Delimiter = Annotated[str | None, typer.Option(help="delimiter of the labels of a cell, for multi-label targets")]


def train(
    rows: Rows,
    out: Annotated[Path, typer.Option(help="folder of the model; each training writes a new version")],
    text: Texts = None,
    target: Annotated[str, typer.Option(help="target column")] = "label",
    bins: Annotated[int | None, typer.Option(help="number of quantile bins of a numeric target")] = None,
    unit: Annotated[str | None, typer.Option(help='unit in the names of the bins, such as "$"')] = None,
    decimal: Annotated[str | None, typer.Option(help='decimal mark of numbers kept as text: "." or ","')] = None,
    task: Annotated[str | None, typer.Option(help='"single label", "multi-label", "ordinal" or "regression"')] = None,
    label_delim: Delimiter = None,
    model: Annotated[str, typer.Option(help="pretrained model: hub id, folder, or minilm (no network)")] = "minilm",
    cleaning: Annotated[str | None, typer.Option(help="auto, heavy or none")] = None,
    max_length: Annotated[int | None, typer.Option(help="maximum length of a text, in tokens")] = None,
    long: Annotated[str, typer.Option(help="longer texts: truncate, tail, head+tail or windows")] = "truncate",
    valid: Annotated[float, typer.Option(help="validation share of the rows")] = 0.15,
    test: Annotated[float, typer.Option(help="test share of the rows")] = 0.15,
    calibrated: Annotated[bool, typer.Option("--calibrate", help="temperature scaling on the validation rows")] = False,
    form: Annotated[list[str] | None, typer.Option("--export", help="onnx or onnx-int8; repeat for both")] = None,
    seed: Annotated[int, typer.Option(help="random seed")] = 42,
    encoding: Encoding = None,
    sep: Separator = None,
    json: Json = False,
) -> None:
    """Train a classifier, evaluate it on held-out test rows, and save it."""
    import kickbert
    from kickbert.data.table_files import read_rows

    text_col = text or ["text"]
    with prints_to_stderr(json):
        df = read_rows(rows, encoding, sep, text_col)
        df = kickbert.split(df, valid=valid, test=test, label_col=target, label_delim=label_delim, seed=seed)
        learn = kickbert.learner_from_df(
            df[df["split"] != "test"], text_col=text_col, label_col=target, model=model, bins=bins,
            bin_format=unit, decimal=decimal, task=task, label_delim=label_delim, cleaning=cleaning,
            max_length=max_length, long=long, valid="split", seed=seed, path=out,
        )  # fmt: skip
        ladder = learn.fit_gradual()
        if calibrated:
            kickbert.calibrate(learn)
        evaluation = kickbert.evaluate(learn, df[df["split"] == "test"]) if (df["split"] == "test").any() else None
        folder = learn.save_artifact(out, evaluation)
        exports = kickbert.export(folder, df[df["split"] == "valid"], form) if form else None
    scores = None if evaluation is None else evaluation.to_frame()

    def as_text(console: Any) -> None:
        console.print(table(ladder, "Training phases"))
        if evaluation is not None:
            console.print(
                table(scores, f"On {evaluation.rows:,} held-out test rows; low, high: 95 % bootstrap interval")
            )
        if exports is not None:
            console.print(table(exports, "Exported models; scores in percentage points"))
        console.print(f"saved: {folder}   next: kickbert predict IN OUT --model {out}", highlight=False)

    print_result({"model": folder, "ladder": ladder, "scores": scores, "exports": exports}, json, as_text)


def evaluate(
    model: Model, rows: Rows, backend: Backend = "auto", encoding: Encoding = None, sep: Separator = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Evaluate a model on labelled rows."""
    import kickbert
    from kickbert.data.table_files import read_rows

    with prints_to_stderr(json):
        loaded = kickbert.load(model, backend)
        evaluation = kickbert.evaluate(loaded, read_rows(rows, encoding, sep, loaded.text_col))
    scores, classes, notes = evaluation.to_frame(), evaluation.classes, list(evaluation.predictions.notes)

    def as_text(console: Any) -> None:
        console.print(table(scores, f"On {evaluation.rows:,} rows; low, high: 95 % bootstrap interval"))
        if classes is not None:
            console.print(table(classes.head(50), "Per-class scores"))
        for note in notes:
            console.print(note)

    result = {"rows": evaluation.rows, "notes": notes, "scores": scores}
    print_result(result if classes is None else result | {"classes": classes}, json, as_text)


def report(
    model: Model,
    rows: Rows,
    out: Annotated[Path, typer.Option(help="HTML file")] = Path("report.html"),
    backend: Backend = "auto",
    encoding: Encoding = None,
    sep: Separator = None,
) -> None:
    """Write an evaluation report of a model as one HTML page."""
    import kickbert
    from kickbert.data.table_files import read_rows

    loaded = kickbert.load(model, backend)
    print(kickbert.report(loaded, out, read_rows(rows, encoding, sep, loaded.text_col)))


def explore(
    rows: Rows,
    text: Texts = None,
    target: Annotated[str | None, typer.Option(help="target column")] = "label",
    out: Annotated[Path, typer.Option(help="HTML file")] = Path("texts.html"),
    label_delim: Delimiter = None,
    encoding: Encoding = None,
    sep: Separator = None,
) -> None:
    """Write an exploration of the rows as one HTML page, before any training."""
    import kickbert
    from kickbert.data.table_files import read_rows

    text_col = text or ["text"]
    df = read_rows(rows, encoding, sep, text_col)
    label_col = target if target in df.columns else None
    print(kickbert.explore(df, text_col=text_col, label_col=label_col, label_delim=label_delim).to_html(out))
