"""Prediction of folders of Parquet files, one file at a time; finished files are skipped.

    done = kickbert.inference.predict_folder(kickbert.load("models/k"), "texts/", "predicted/", engine="ray")

Each input file becomes an output file of the same name, written atomically. A manifest in the output folder records
what each was made from, one line per file, so that the next run can skip it.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kickbert.data.tables.reading import TableFile
from kickbert.inference.batch_prediction import MAX_LISTED, check_columns, needed_columns, predict_file, text_names
from kickbert.inference.predictor import Predictor
from kickbert.utils.atomic_files import replacing
from kickbert.utils.extras import require
from kickbert.utils.hashing import digest, file_digest
from kickbert.utils.messages import listed
from kickbert.utils.progress import bar

MANIFEST = "_kickbert.jsonl"  # Spark, Dask and pyarrow ignore names that begin with "_"
SUCCESS = "_SUCCESS"  # an empty file, written last, as by Spark


@dataclass
class PredictedFolder:
    """The result of `predict_folder`; rows are named as "file row 17", counted from 0.

    Args:
        out: output folder.
        files: number of files.
        resumed: number of files that an earlier run had finished.
        rows: number of rows.
        without_text: number of rows without text, which have no prediction.
        first_without_text: the first of them.
        without_label: number of rows that have text and got no label, as for `PredictedFile`.
        failed: number of rows that raised an error and have no prediction.
        first_failed: the first of them, each with its error.
        notes: notes for the user, one sentence each.
    """

    out: Path
    files: int = 0
    resumed: int = 0
    rows: int = 0
    without_text: int = 0
    first_without_text: list[str] = field(default_factory=list)
    without_label: int = 0
    failed: int = 0
    first_failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def predict_folder(
    model: Predictor,
    source: str | Path,
    out: str | Path,
    *,
    text_col: Sequence[str] | None = None,
    keep: Sequence[str] | None = None,
    min_confidence: float | None = None,
    engine: str | None = None,
    workers: int | None = None,
) -> PredictedFolder:
    """Predict every row of a folder of Parquet files; a run that was stopped continues where it left off.

    A file is predicted again if the model, the options or the content of the file changed. A change in the code of your
    own cleaning functions is not noticed. A row that raises an error gets no prediction and is reported.

    Args:
        model: a predictor; with an engine every machine must be able to read its folder.
        source: folder of Parquet files and subfolders. Names that begin with "_" or "." are ignored, as by Spark.
        out: output folder, with one file per input file: the same rows in the same order, and predictions named as by
            `predict_file`. An empty file `_SUCCESS` is written last.
        text_col: names of the text columns in the files, in the model's order; None for the model's own names.
        keep: columns to copy to the output; None for all, which must then be the same in every file.
        min_confidence: confidence below which a row gets no label.
        engine: "ray" for workers on a Ray cluster, or on this machine if none is running; None for this process.
        workers: number of Ray workers, at most one per core, which is the default.
    Returns:
        Number of rows, and of those that got no prediction.
    Raises:
        TypeError: the model has not been saved.
        ValueError: a folder, column or engine does not exist, or `out` holds other files.
        RuntimeError: a file could not be predicted; the next run continues with it.
    """
    _check_arguments(model, engine, workers)
    source = Path(source).expanduser().resolve()
    names, notes = _list_files(source)
    _check_columns(source, names, [*text_names(model, text_col), *needed_columns(model)], keep)
    out = Path(out).expanduser()
    job = FolderJob(source, out.resolve(), model.fingerprint, text_col, keep, min_confidence)
    manifest = _open_manifest(job, names)
    finished = {name for name, entry in manifest.items() if entry["key"] == job.key(name)}
    if changed := [name for name in manifest if name not in finished]:
        notes.append(
            f"the model, the options or the input changed, so these were predicted again: {listed(changed, 3)}"
        )
    pending = [name for name in names if name not in finished]
    for entry in bar(_run(job, model, pending, engine, workers), source.name, len(pending), " files"):
        manifest[entry["file"]] = entry
        with open(job.out / MANIFEST, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
    (job.out / SUCCESS).touch()
    return _summary(out, [manifest[name] for name in names], len(finished), notes)


@dataclass(frozen=True)
class FolderJob:
    """The settings for all files of a folder.

    Args:
        source: input folder.
        out: output folder.
        model: fingerprint of the model.
        text_col, keep, min_confidence: as for `predict_file`.
    """

    source: Path
    out: Path
    model: str
    text_col: Sequence[str] | None
    keep: Sequence[str] | None
    min_confidence: float | None

    def key(self, name: str) -> str:
        """Hash everything that the output of a file depends on."""
        options = [self.text_col, self.keep, self.min_confidence]
        return digest(self.model, json.dumps(options), file_digest(self.source / name))

    def predict(self, model: Predictor, name: str) -> dict[str, Any]:
        """Predict a file, and return its entry in the manifest."""
        key = self.key(name)
        try:
            done = predict_file(
                model,
                self.source / name,
                self.out / name,
                text_col=self.text_col,
                keep=self.keep,
                min_confidence=self.min_confidence,
                skip_errors=True,
            )
        except Exception as err:
            raise RuntimeError(
                f"{name} could not be predicted ({err}). Run it again to continue with this file"
            ) from err
        return {"file": name, "key": key} | {name: value for name, value in vars(done).items() if name != "out"}


def _check_arguments(model: Predictor, engine: str | None, workers: int | None) -> None:
    if not isinstance(model, Predictor):
        raise TypeError(
            f"model is a {type(model).__name__}, not a predictor. Save and load it: "
            "kickbert.load(learn.save_artifact(folder))"
        )
    if engine not in (None, "ray"):
        raise ValueError(f"engine={engine!r} does not exist. Use engine='ray', or None for this process")
    if workers is not None and (engine is None or workers < 1):
        raise ValueError(f"workers={workers} must be at least 1, and needs engine='ray'")


def _list_files(source: Path) -> tuple[list[str], list[str]]:
    """List the Parquet files that have rows; also return notes about the others."""
    require("pyarrow", extra="export")
    if not source.is_dir():
        raise ValueError(f"Folder not found: {source}")
    paths = [path.relative_to(source) for path in sorted(source.rglob("*")) if path.is_file()]
    visible = [path.as_posix() for path in paths if not any(part[0] in "._" for part in path.parts)]
    others = [name for name in visible if not name.endswith(".parquet")]
    parquet = [name for name in visible if name not in others]
    empty = [name for name in parquet if not TableFile(source / name).rows]
    names = [name for name in parquet if name not in empty]
    if not names:
        raise ValueError(f"{source} has no .parquet files with rows. Other files: {listed(others, 3) or 'none'}")
    notes = {"without rows": empty, "that are not .parquet": others}
    return names, [f"files {what} were skipped: {listed(skipped, 3)}" for what, skipped in notes.items() if skipped]


def _check_columns(source: Path, names: list[str], texts: Iterable[str], keep: Sequence[str] | None) -> None:
    """Check that every file has the text columns and the columns to keep.

    Raises:
        ValueError: a file lacks a column.
    """
    first = TableFile(source / names[0]).schema.names
    for name in names:
        columns = TableFile(source / name).schema.names
        check_columns(name, columns, [*texts, *(keep or ())])
        if keep is None and set(columns) != set(first):
            differing = sorted(set(columns) ^ set(first))
            raise ValueError(
                f"{names[0]} and {name} do not have the same columns ({listed(differing, 3)} in one of them). Name the "
                "columns to copy: keep= (--keep)"
            )


def _open_manifest(job: FolderJob, names: list[str]) -> dict[str, dict[str, Any]]:
    """Read the manifest of an earlier run.

    Raises:
        ValueError: the output folder is inside the input folder, or holds other files.
    """
    if job.out.is_relative_to(job.source):
        raise ValueError(f"{job.out} is inside {job.source} and would become part of its input. Choose another folder")
    file = job.out / MANIFEST
    if not file.exists() and job.out.exists() and any(job.out.iterdir()):
        raise ValueError(f"{job.out} holds other files. Choose an empty folder, or one that an earlier run wrote")
    for path in sorted(job.out.rglob("*.parquet")):
        if path.relative_to(job.out).as_posix() not in names:
            raise ValueError(f"{path} has no input file. Delete it, or choose another folder")
    manifest = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        with suppress(ValueError):  # a line that a killed run left unfinished
            entry = json.loads(line)
            if (job.out / entry["file"]).exists():
                manifest[entry["file"]] = entry
    with replacing(file) as part:
        part.write_text("".join(f"{json.dumps(entry)}\n" for entry in manifest.values()), encoding="utf-8")
    (job.out / SUCCESS).unlink(missing_ok=True)
    return manifest


def _run(
    job: FolderJob, model: Predictor, names: list[str], engine: str | None, workers: int | None
) -> Iterable[dict[str, Any]]:
    """Predict files in this process or on Ray, in any order."""
    if engine is None or not names:
        return (job.predict(model, name) for name in names)
    from kickbert.inference.ray_engine import run_on_ray

    return run_on_ray(job.predict, model, names, workers)


def _summary(out: Path, entries: list[dict[str, Any]], resumed: int, notes: list[str]) -> PredictedFolder:
    """Sum the counts of all files in the manifest."""
    done = PredictedFolder(out, files=len(entries), resumed=resumed, notes=notes)
    for entry in entries:
        done.rows += entry["rows"]
        done.without_text += entry["without_text"]
        done.without_label += entry["without_label"]
        done.failed += entry["failed"]
        done.first_without_text += [f"{entry['file']} row {row}" for row in entry["first_without_text"]]
        done.first_failed += [f"{entry['file']} row {row}: {reason}" for row, reason in entry["first_failed"]]
        done.notes += [note for note in entry["notes"] if note not in done.notes]
    del done.first_without_text[MAX_LISTED:], done.first_failed[MAX_LISTED:]
    return done
