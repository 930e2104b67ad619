"""Prediction of tables larger than a machine: folders of Parquet files, by an engine, resumed where it was stopped.

    done = kickbert.inference.predict_dataset(kickbert.load("models/k"), "texts/", "labelled/", engine="ray")

files → partitions → an engine, which calls `predict_partition` for each → a folder of Parquet files, whole or none.
While it is written the folder is called `labelled.unfinished`; the same call goes on with one that was left.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kickbert import __version__
from kickbert.inference.batch_prediction import (
    PIECE,
    SHOWN,
    output_columns,
    prediction_schema,
    text_names,
)
from kickbert.inference.engines import choose_engine
from kickbert.inference.partitions import FILE, ROW, TRAILS, Outcome, Partition, Work, read_account
from kickbert.inference.predictor import Predictor
from kickbert.inference.table_folders import TableFolder
from kickbert.utils.atomic_files import exclusive, replacing
from kickbert.utils.extras import installed
from kickbert.utils.hashing import fingerprint
from kickbert.utils.progress import bar

PARTITION = 20_000  # rows: what a kill costs at most, and two pieces
PLAN = "_kickbert.json"
PACKAGES = {
    "openvino": ("tokenizers", "openvino"),
    "onnx": ("tokenizers", "onnxruntime"),
    "torch": ("tokenizers", "torch", "transformers"),
}
MOST_FAILED = 3  # partitions: more are no partition's fault


@dataclass
class PredictedDataset:
    """The outcome of `predict_dataset`.

    Args:
        out: the folder of predictions.
        rows: its number of rows.
        partitions: its number of files.
        resumed: how many of them an earlier run had written.
        without_text: number of rows without text, which have no prediction.
        first_without_text: the first of them, as "file row 17", counted from 0.
        without_label: number of rows with a text that got no label, as of `PredictedFile`.
        failed: number of rows that could not be predicted, and have no prediction.
        first_failed: the first of them, and why.
        notes: what a user must know of the table, a sentence each.
    """

    out: Path
    rows: int = 0
    partitions: int = 0
    resumed: int = 0
    without_text: int = 0
    first_without_text: list[str] = field(default_factory=list)
    without_label: int = 0
    failed: int = 0
    first_failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def predict_dataset(
    model: Predictor,
    source: str | Path,
    out: str | Path,
    *,
    text_col: Sequence[str] | None = None,
    keep: Sequence[str] | None = None,
    min_confidence: float | None = None,
    engine: str = "local",
    workers: int | None = None,
    partition: int = PARTITION,
) -> PredictedDataset:
    """Predict the rows of a table in Parquet files, in parallel, and go on where an earlier call was stopped.

    Args:
        model: a predictor, whose folder every machine can read.
        source: a folder of Parquet files, or one; other folders in it are looked into, and mirrored in `out`.
        out: a folder to be made, a file for each partition: the table's columns, where each row comes from
            (`source_file` and `source_row`, from 0, unless the table has both), predictions named as by `predict_file`.
        text_col: the table's names of the text columns, in the model's order; None for the model's own.
        keep: the table's columns that are written too; None for all.
        min_confidence: below which a row gets no label.
        engine: "local" for processes of this machine, "ray" for actors of Ray in the cluster that is connected.
        workers: processes or actors; None for one a core, and one in all for a backend of torch, which takes all cores.
        partition: most rows of a partition.
    Returns:
        How many rows there were, and those that got no prediction.
    Raises:
        TypeError: a model that is not a saved one.
        ValueError: no such table or column, columns whose types do not go together, or an `out` that is of another
            model, table or call.
        RuntimeError: partitions that could not be predicted; the others are kept for the next call.
    """
    _check(model, workers, partition)
    run, table, out = choose_engine(engine), TableFolder(source), Path(out)
    unfinished = _unfinished(out, Path(source))
    work = _work(model, table, unfinished, text_col, keep, min_confidence)
    parts = resumed = table.partitions(partition)
    workers = workers or (1 if model.backend.name.startswith("torch") else None)
    with bar(None, table.folder.name, table.rows, " rows") as shown, exclusive(unfinished):
        plan = _plan(work, table, partition)
        if not _finished(out, plan):
            resumed = _take_up(unfinished, plan, parts, table.notes)
            shown.update(sum(part.stop - part.start for part in resumed))
            kept = set(resumed)
            pending = [part for part in parts if part not in kept]
            if pending:
                with closing(run(work, pending, workers)) as outcomes:
                    _follow(outcomes, shown.update, unfinished)
            _publish(unfinished, out, parts)
    return _summary(out, parts, len(resumed), table.notes)


def _check(model: Any, workers: int | None, partition: int) -> None:
    if not isinstance(model, Predictor):
        raise TypeError(
            f"model is a {type(model).__name__}; other processes need a saved one: "
            "kickbert.load(learn.save_artifact(folder))"
        )
    for name, value in (("workers", workers), ("partition", partition)):
        if value is not None and value < 1:
            raise ValueError(f"{name}={value} must be at least 1")


def _unfinished(out: Path, source: Path) -> Path:
    """The folder that becomes `out`, absolute, for workers stand in other folders."""
    if out.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"{out} lies in {source}, and would be part of the table; give a folder outside")
    return out.resolve().with_name(f"{out.name}.unfinished")


def _work(
    model: Predictor, table: TableFolder, out: Path, text_col: Sequence[str] | None, keep: Sequence[str] | None,
    min_confidence: float | None,
) -> Work:  # fmt: skip
    """What is to be done with each partition; the table's columns are checked."""
    import pyarrow as pa

    texts = text_names(model, text_col)
    table.check_texts(list(texts))
    predictions = prediction_schema(model, min_confidence)
    numbered = {FILE, ROW} <= set(table.names)
    columns = table.names if keep is None else list(dict.fromkeys([*([FILE, ROW] if numbered else []), *keep]))
    earlier, renamed = output_columns(columns, predictions.names)
    if earlier:
        table.notes.append(f"columns of an earlier prediction were replaced: {', '.join(earlier)}")
    kept = table.schema([name for name in columns if name not in earlier])
    origin = [] if numbered else [pa.field(FILE, pa.string()), pa.field(ROW, pa.int64())]
    taken = [column.name for column in origin if column.name in kept.names]
    if taken:
        raise ValueError(f"the table's column {taken[0]!r} has a name by which rows are numbered; rename it")
    added = pa.schema([*origin, *(column.with_name(renamed[column.name]) for column in predictions)])
    return Work(table.folder.resolve(), out, model.opening(), texts, kept, added, min_confidence, PIECE)


def _plan(work: Work, table: TableFolder, partition: int) -> dict[str, dict[str, Any]]:
    """All that predictions depend on, as JSON holds it; not the engine, for one may go on with what another began."""
    *_, identity, backend, _, functions = work.opening
    columns = [f"{column.name}: {column.type}" for column in (*work.kept, *work.added)]
    options = {
        "text_col": list(work.texts), "min_confidence": work.min_confidence, "backend": backend,
        "partition": partition, "piece": work.piece, "columns": columns,
    }  # fmt: skip
    return {
        "model": {"artifact": identity, "cleaning functions": fingerprint(*functions)},
        "options": options,
        "versions": {"kickbert": __version__, **installed(PACKAGES[backend.split("-")[0]])},
        "files": table.digests(),
    }


def _differences(old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]], topics: Sequence[str]) -> list[str]:
    """What two plans differ in, a phrase each."""
    return [
        f"{topic}: {name} was {old.get(topic, {}).get(name)!r}, is {new[topic].get(name)!r}"
        for topic in topics
        for name in {**old.get(topic, {}), **new[topic]}
        if old.get(topic, {}).get(name) != new[topic].get(name)
    ]


def _finished(out: Path, plan: dict[str, dict[str, Any]]) -> bool:
    """Whether `out` is there, of this very plan.

    Raises:
        ValueError: it is of another, or of something else.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if not (out / PLAN).is_file():
        raise ValueError(f"{out} is there already, and no predictions of a table; give a folder to be made")
    differing = _differences(json.loads((out / PLAN).read_text(encoding="utf-8")), plan, list(plan))
    if differing:
        raise ValueError(f"{out} has other predictions ({differing[0]}); give another folder, or delete it")
    return True


def _take_up(
    unfinished: Path, plan: dict[str, dict[str, Any]], parts: list[Partition], notes: list[str]
) -> list[Partition]:
    """The partitions that an earlier run has written of this plan; what it wrote of files that changed goes away."""
    file = unfinished / PLAN
    if not file.exists() and any(unfinished.rglob("*.parquet")):
        raise ValueError(f"{unfinished} is there already, and no unfinished predictions; give another folder")
    old = json.loads(file.read_text(encoding="utf-8")) if file.exists() else plan
    differing = _differences(old, plan, ("model", "options", "versions"))
    if differing:
        raise ValueError(
            f"{unfinished} was begun otherwise ({'; '.join(differing)}); do it as before, give another folder, or "
            "delete that one to begin anew"
        )
    changed = {name for name in old["files"] if old["files"][name] != plan["files"].get(name)}
    if changed:
        named = ", ".join(sorted(changed)[:SHOWN])
        notes.append(f"files that changed since an earlier run are predicted anew, or left out: {named}")
    whole = {part.name: part for part in parts if part.file not in changed}
    resumed = []
    for path in sorted(unfinished.rglob("*.parquet")):
        part = whole.get(path.relative_to(unfinished).as_posix())
        if part is None:
            path.unlink()
        else:
            resumed.append(part)
    shutil.rmtree(unfinished / TRAILS, ignore_errors=True)
    (unfinished / TRAILS).mkdir(parents=True)
    with replacing(file) as new:
        new.write_text(json.dumps(plan, indent=1), encoding="utf-8")
    return resumed


def _follow(outcomes: Iterator[Outcome], advance: Any, unfinished: Path) -> None:
    """Wait for the partitions; some that fail do not keep the others from being predicted.

    Raises:
        RuntimeError: some failed.
    """
    failed: list[Outcome] = []
    for outcome in outcomes:
        if outcome.error is None:
            advance(outcome.partition.stop - outcome.partition.start)
            continue
        failed.append(outcome)
        if len(failed) > MOST_FAILED:
            break
    if failed:
        reasons = "; ".join(f"{outcome.partition}: {outcome.error}" for outcome in failed)
        raise RuntimeError(
            f"partitions could not be predicted ({reasons}); what was predicted is kept in {unfinished}, and the same "
            "call goes on with it"
        ) from failed[0].error


def _publish(unfinished: Path, out: Path, parts: list[Partition]) -> None:
    """Give the folder its name, once it holds every partition."""
    names = {path.relative_to(unfinished).as_posix() for path in unfinished.rglob("*.parquet")}
    if names != {part.name for part in parts}:
        raise RuntimeError(f"{unfinished} was changed by something else meanwhile; do the same again")
    shutil.rmtree(unfinished / TRAILS)
    for half in unfinished.rglob(".*.part"):  # of workers that were killed on other machines
        half.unlink(missing_ok=True)
    if out.exists():  # an empty folder
        out.rmdir()
    os.rename(unfinished, out)


def _summary(out: Path, parts: list[Partition], resumed: int, notes: list[str]) -> PredictedDataset:
    """The accounts of all partitions as one."""
    done = PredictedDataset(out, partitions=len(parts), resumed=resumed, notes=notes)
    for part in parts:
        account = read_account(out / part.name)
        done.rows += account.rows
        done.without_text += account.without_text
        done.without_label += account.without_label
        done.failed += len(account.failed)
        done.first_without_text += [f"{part.file} row {row}" for row in account.first_without_text]
        done.first_failed += [f"{part.file} row {row}: {reason}" for row, reason in account.failed]
    done.first_without_text, done.first_failed = done.first_without_text[:SHOWN], done.first_failed[:SHOWN]
    return done
