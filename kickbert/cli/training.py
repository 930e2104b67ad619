"""Commands to explore rows, train a model and evaluate it: train, evaluate, report, explore."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from kickbert.cli.arguments import (
    FORMAT_HELP,
    All,
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
from kickbert.cli.functions import cleaning_steps, own_functions
from kickbert.cli.launching import launched
from kickbert.cli.output import print_result, prints_to_stderr, table, warned
from kickbert.cli.output_files import check_page
from kickbert.cli.rows import check_options, read_columns, read_model_rows
from kickbert.cli.tasks import Task
from kickbert.utils.messages import plural
from kickbert.utils.processes import rank

SHOWN_CLASSES = 50
LABEL = ("--label", "--target")
Label = Annotated[str | None, typer.Option(*LABEL, help="label column (default: the one used in training)")]
Delimiter = Annotated[
    str | None, typer.Option(help='delimiter between the labels of a cell, such as "|" (multi-label)')
]


def train(
    rows: Rows,
    out: Annotated[
        Path | None,
        typer.Option(help="folder for the model; each run saves a new version (default: models/ and the file's name)"),
    ] = None,
    text: Texts = None,
    label: Annotated[str, typer.Option(*LABEL, help="label column")] = "label",
    cat: Annotated[
        list[str] | None,
        typer.Option(
            "--cat", help="column of categories to read beside the text; repeat for several; auto: all that help"
        ),
    ] = None,
    cont: Annotated[
        list[str] | None, typer.Option("--cont", help="column of numbers to read beside the text; or auto")
    ] = None,
    date: Annotated[
        list[str] | None, typer.Option("--date", help="column of dates to read beside the text; or auto")
    ] = None,
    bins: Annotated[int | None, typer.Option(help="number of quantile bins for a numeric label")] = None,
    unit: Annotated[str | None, typer.Option(help='unit in bin names, such as "$"')] = None,
    decimal: Annotated[str | None, typer.Option(help='decimal mark of numbers stored as text: "." or ","')] = None,
    task: Task = None,
    label_delim: Delimiter = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="pretrained model: hub id, folder, or minilm (no network) (default: roberta-base; minilm if the hub "
            "cannot be reached)"
        ),
    ] = None,
    cleaning: Annotated[
        list[str] | None,
        typer.Option(
            help="auto removes HTML and broken Unicode; or the name of a cleaning step; repeat for several "
            "(default: no cleaning)"
        ),
    ] = None,
    functions: Annotated[
        str | None, typer.Option(help="module or .py file with cleaning functions of your own for --cleaning")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(help="maximum tokens per text (default: the model's, at most 512)")
    ] = None,
    long: Annotated[
        str, typer.Option(help="how to read longer texts: truncate, tail, head+tail or windows")
    ] = "truncate",
    split: Annotated[
        str | None,
        typer.Option(help="column with the part of each row: train, valid or test (default: split, if there is one)"),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="column of groups, such as customers; rows of a group stay in the same part")
    ] = None,
    valid: Annotated[float, typer.Option(help="share of rows for validation")] = 0.15,
    test: Annotated[float, typer.Option(help="share of rows for testing")] = 0.15,
    calibrated: Annotated[
        bool | None,
        typer.Option(
            "--calibrate/--no-calibrate",
            help="calibrate probabilities on the validation rows (default: from 200 rows on)",
            show_default=False,
        ),
    ] = None,
    export_formats: Annotated[list[str] | None, typer.Option("--export", help=f"also export: {FORMAT_HELP}")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="epochs for the last layers (default: at least 2, and 160 steps)")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="peak learning rate of the last layers (default: 4e-4)")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="training batch size (default: 16 with few rows, otherwise 32)")
    ] = None,
    class_weights: Annotated[
        str | None, typer.Option(help='"balanced" weights the loss by class frequency; default: no weights')
    ] = None,
    augment: Annotated[str | None, typer.Option(help="augment the training texts: eda or typos")] = None,
    preset: Annotated[
        str | None, typer.Option(help="fast, balanced, best or auto (default: balanced; few labels: fit_few)")
    ] = None,
    budget: Annotated[str | None, typer.Option(help='maximum training time, such as "5 min"')] = None,
    precision: Annotated[str, typer.Option(help="auto, bf16 or fp32")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the training phases without training")] = False,
    seed: Annotated[int, typer.Option(help="random seed")] = 42,
    processes: Annotated[int, typer.Option(help="number of training processes, one per core or GPU")] = 1,
    encoding: Encoding = None,
    sep: Separator = None,
    every_score: All = False,
    json: Json = False,
) -> None:
    """Train a classifier, evaluate it on held-out test rows, and save it."""
    if launched(processes):
        return
    with prints_to_stderr(json):
        df, text_col = _labeled(rows, encoding, sep, text, label=label, split=split, group=group)
        beside = _beside(df, rows, cat=cat, cont=cont, date=date)
        out = _model_folder(rows, out)
    import kickbert
    from kickbert.inference.exports.exporting import check_formats
    from kickbert.training.fitting import fit_default

    check_formats(export_formats or [])  # before training, so that a typo costs no time
    steps = cleaning_steps(cleaning, own := own_functions(functions))
    with prints_to_stderr(json):
        df = kickbert.split(
            df, valid=valid, test=test, label_col=label, label_delim=label_delim, seed=seed, text_col=text_col,
            group_col=group,
        )  # fmt: skip
        learn = kickbert.learner_from_df(
            _without(df[df["split"] != "test"], {split, group} - {*(cat or ()), *(cont or ()), *(date or ())}),
            text_col=text_col, label_col=label, **beside, model=model, bins=bins, bin_format=unit, decimal=decimal,
            task=task, label_delim=label_delim, cleaning=steps,
            max_length=max_length, long=long, valid="split", seed=seed, path=out, bs=batch_size, precision=precision,
            class_weights=class_weights, augment=_augmenter(augment), schedule=_schedule(epochs, lr),
        )  # fmt: skip
        plan = _plan(learn, "auto" if budget and not preset else preset)
    if dry_run:
        return print_result(plan, json, lambda console: console.print(table(plan, "Training phases")))
    with prints_to_stderr(json):
        ladder = fit_default(learn, preset, budget, "pass --preset balanced", calibrate=calibrated is None)
        if rank():
            return  # only the first process evaluates and saves
        if calibrated:
            print(kickbert.calibrate(learn))
        evaluation, saved = _saved(learn, out, df, export_formats or [], own)
    result = {"ladder": ladder, **saved}
    print_result(
        result | {name: getattr(evaluation, name, None) for name in ("scores", "summary")}, json,
        lambda console: _print_training(console, result, evaluation, out, every_score),
    )  # fmt: skip


def _labeled(
    rows: Path, encoding: str | None, sep: str | None, text: list[str] | None, **others: str | None
) -> tuple[Any, list[str]]:
    """Read the rows of a file or of the labeling page's database, as `read_columns` does."""
    if rows.suffix != ".db":
        df, columns = read_columns(rows, encoding, sep, text, (), **others)
    else:
        from kickbert.labeling.tables import read

        df = read(rows)
        columns = text or df.attrs["text_col"]
        check_options(list(df), rows, columns, **others)
    if others.get("split"):
        df["split"] = df[others["split"]]
    return df, columns


def _beside(df: Any, file: Path, **options: list[str] | None) -> dict[str, Any]:
    """Check the columns to read beside the text, and return them as arguments of `learner_from_df`."""
    names: dict[str, Any] = {}
    for option, given in options.items():
        if given == ["auto"]:
            names[f"{option}_names"] = "auto"
        elif given:
            names[f"{option}_names"] = given
            for name in given:
                check_options(list(df), file, (), **{option: name})
    return names


def _without(df: Any, names: set[str | None]) -> Any:
    """Leave out the columns of splits and groups, which "auto" would read beside the text."""
    return df.drop(columns=[name for name in names - {None, "split"} if name in df])


def _saved(learn: Any, out: Path, df: Any, formats: list[str], functions: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
    """Evaluate a model on the test rows, save it, and export it; return the evaluation, and the folder and exports."""
    import kickbert
    from kickbert.models.artifact.saving import save_artifact

    held_out = df[df["split"] == "test"]
    evaluation = kickbert.evaluate(learn, held_out) if len(held_out) else None
    folder = save_artifact(learn, out, evaluation)
    _remove_checkpoint(learn)
    exports = _exported(folder, df[df["split"] == "valid"], formats, functions) if formats else None
    return evaluation, {"model": folder, "exports": exports}


def _model_folder(rows: Path, out: Path | None) -> Path:
    """Choose the folder of the model, and say where it is if that is not what the caller asked for."""
    folder = (out or Path("models") / rows.name.split(".")[0]).expanduser()
    if folder.is_file():
        raise ValueError(f"--out {folder} is a file, but must be a folder for the model")
    versions = [version.name for version in folder.glob("v*") if version.is_dir()]
    if versions:
        print(f"{folder} has {plural(len(versions), 'version')}; this run adds another and changes none")
    elif out is None:
        print(f"the model will be saved in {folder}; choose another folder with --out")
    return folder


def _print_training(console: Any, result: dict[str, Any], evaluation: Any, out: Path, every_score: bool) -> None:
    """Print the phases, the scores, and the folder of the saved model."""
    ladder = result["ladder"].drop(columns=["trainable", "rows", "low", "high"], errors="ignore")  # to fit 80 columns
    console.print(table(ladder, "Training phases"))
    if evaluation is not None:
        _print_scores(console, evaluation, "held-out test rows", every_score)
    if result["exports"] is not None:
        console.print(table(result["exports"], "Exported models; scores in percentage points"))
    console.print(f"saved: {result['model']}   next: kickbert predict IN OUT --model {out}", highlight=False)


def _print_scores(console: Any, evaluation: Any, rows: str, every_score: bool) -> None:
    """Print an evaluation as sentences and a table."""
    from kickbert.targets.directions import with_directions

    for sentence in evaluation.summary:
        fact, _, advice = sentence.partition(" Train longer: ")
        console.print(fact if advice and warned(advice) else sentence, highlight=False)
    title = f"On {evaluation.rows:,} {rows}; low, high: 95% interval"
    console.print(table(with_directions(evaluation.to_frame() if every_score else evaluation.shown()), title))
    for note in evaluation.notes:
        if not warned(note):
            console.print(note, highlight=False)


def _schedule(epochs: int | None, lr: float | None) -> dict[str, Any]:
    """Collect arguments of `gradual_unfreezing` that differ from its defaults."""
    options = {"epochs": epochs and (1, epochs), "lr": lr and (2e-3, lr)}
    return {name: value for name, value in options.items() if value}


def _augmenter(name: str | None) -> Any:
    from kickbert.text.augmentation import EDA, CharacterNoise

    augmenters: dict[str | None, Callable[[], Any]] = {None: lambda: None, "eda": EDA, "typos": CharacterNoise}
    if name not in augmenters:
        raise ValueError(f"--augment {name} is not one of eda, typos")
    return augmenters[name]()


def _plan(learn: Any, preset: str | None) -> Any:
    """List the training phases, one per row."""
    import pandas as pd

    from kickbert.training.few_shot import few_labels

    rows = len(learn.dls.train_ds)
    if preset is None and few_labels(learn):
        return pd.DataFrame([{"phase": "few labels: fit_few", "training rows": rows}])
    groups = [sum(p.numel() for p in group) for group in learn.model.groups().values()]
    steps = len(learn.dls.train)
    table = []
    for phase in learn.phases(preset or "balanced"):
        taken = {"epochs": phase.epochs, "steps": phase.epochs * steps, "lr": phase.lr}
        if phase.head == "solved":
            taken = dict.fromkeys(taken)
        row = {"phase": phase.name, "trainable": sum(groups[phase.freeze_to :])}
        table.append(row | taken | {"batch size": learn.dls.bs, "training rows": rows})
    return pd.DataFrame(table)


def _remove_checkpoint(learn: Any) -> None:
    """Remove the checkpoint for resuming, because training has finished and the model is saved."""
    folder = Path(learn.path) / learn.model_dir
    (folder / "gradual.safetensors").unlink(missing_ok=True)
    with suppress(OSError):  # other files may be there
        folder.rmdir()


def _exported(folder: Path, rows: Any, formats: list[str], functions: Sequence[Any]) -> Any:
    """Export a model to each format; warn about failures, because the model itself is saved."""
    import pandas as pd

    import kickbert
    from kickbert.models.artifact.json_checks import ArtifactError

    tables = []
    for name in formats:
        try:
            tables.append(kickbert.export(folder, rows, [name], functions=functions))
        except ArtifactError as err:
            warnings.warn(f"{name} was not exported: {err}. To try again: kickbert export {folder} ROWS", stacklevel=2)
    return pd.concat(tables).drop_duplicates("format") if tables else None


def evaluate(
    model: Model, rows: Rows, text: Texts = None, label: Label = None, backend: Backend = "auto",
    functions: Functions = None, missing: Missing = "refuse", encoding: Encoding = None, sep: Separator = None,
    every_score: All = False, json: Json = False,
) -> None:  # fmt: skip
    """Evaluate a model on labeled rows."""
    with prints_to_stderr(json):
        df = _rows_for(model, rows, text, label, encoding, sep, missing)
        import kickbert

        loaded = kickbert.load(model, backend, functions=own_functions(functions), missing=missing)
        evaluation = kickbert.evaluate(loaded, df)
    classes, scores = evaluation.worst_classes(), evaluation.to_frame()

    def as_text(console: Any) -> None:
        _print_scores(console, evaluation, "rows", every_score)
        if classes is not None:
            console.print(table(classes.head(SHOWN_CLASSES), "Per-class scores, lowest F1 first"))
            if len(classes) > SHOWN_CLASSES:
                console.print(plural(len(classes) - SHOWN_CLASSES, "more class", "more classes"))

    result = {"rows": evaluation.rows, "summary": evaluation.summary, "notes": evaluation.notes, "scores": scores}
    print_result(result if classes is None else result | {"classes": classes}, json, as_text)


def report(
    model: Model,
    rows: Rows,
    out: Annotated[Path, typer.Option(help="HTML file")] = Path("report.html"),
    text: Texts = None,
    label: Label = None,
    backend: Backend = "auto",
    functions: Functions = None,
    missing: Missing = "refuse",
    encoding: Encoding = None,
    sep: Separator = None,
    json: Json = False,
) -> None:
    """Evaluate a model on labeled rows and write an HTML report."""
    check_page(out)
    with prints_to_stderr(json):
        df = _rows_for(model, rows, text, label, encoding, sep, missing)
        import kickbert
        from kickbert.evaluation.findings import findings

        loaded = kickbert.load(model, backend, functions=own_functions(functions), missing=missing)
        evaluation = kickbert.evaluate(loaded, df)
        page = kickbert.report(loaded, out, evaluation=evaluation, source=rows.name)
    found = [*evaluation.summary[:1], *findings(evaluation)]
    print_result({"report": page, "findings": found}, json, lambda console: _print_page(console, page, found))


def _print_page(console: Any, page: Path, found: list[str]) -> None:
    """Print the findings, one a line, and the file of the page."""
    for sentence in found:
        console.print(f"- {sentence}", highlight=False, soft_wrap=True)
    console.print(f"page: {page}", highlight=False, soft_wrap=True)


def _rows_for(
    model: Path,
    file: Path,
    text: list[str] | None,
    label: str | None,
    encoding: str | None,
    sep: str | None,
    missing: str,
) -> Any:
    """Read the rows of a file and rename its columns to the names used in training.

    Raises:
        ValueError: the number of text columns differs from the model's, or a column does not exist.
    """
    from kickbert.models.artifact.reading import read_artifact

    trained = read_artifact(model).metadata
    text_col, label_col = trained["text_col"], trained["label_col"]
    if label and not isinstance(label_col, str):
        raise ValueError(f"--label names one column, but the model was trained on several: {label_col}")
    df = read_model_rows(model, file, encoding, sep, text, label, missing)
    names = dict(zip(text or [], text_col, strict=False)) | ({label: label_col} if label else {})
    return df.drop(columns=[c for c in names.values() if c in df and c not in names]).rename(columns=names)


def explore(
    rows: Rows,
    text: Texts = None,
    label: Annotated[
        str | None, typer.Option(*LABEL, help="label column (default: label, if there is one)", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="HTML file")] = Path("texts.html"),
    label_delim: Delimiter = None,
    encoding: Encoding = None,
    sep: Separator = None,
    json: Json = False,
) -> None:
    """Check rows before training (lengths, duplicates, suspicious labels) and write an HTML page."""
    check_page(out)
    with prints_to_stderr(json):
        df, text_col = read_columns(rows, encoding, sep, text, label=label)
        import kickbert

        label_col = label or ("label" if "label" in df else None)
        exploration = kickbert.explore(df, text_col=text_col, label_col=label_col, label_delim=label_delim)
        page = exploration.to_html(out, source=rows.name)
    result = {"page": page, "summary": exploration.summary, "findings": exploration.findings}
    print_result(result, json, lambda console: _print_page(console, page, exploration.findings))
