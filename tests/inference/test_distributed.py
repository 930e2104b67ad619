"""A table in a folder predicted: every row once, whatever stops it; nothing of another model or call is taken up."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest
from conftest import REPO

import kickbert
from kickbert.inference import predict_dataset
from kickbert.utils.atomic_files import exclusive

pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")


@pytest.fixture
def begun(exported, table, tmp_path):
    """A run that was stopped with one partition of a.parquet and that of b.parquet to do."""
    done = predict_dataset(exported, table, tmp_path / "out", partition=40)
    os.rename(done.out, tmp_path / "out.unfinished")
    (tmp_path / "out.unfinished" / "a-000000000040.parquet").unlink()
    (tmp_path / "out.unfinished" / "year=2024" / "b-000000000000.parquet").unlink()
    return tmp_path / "out"


def test_a_folder_is_predicted_as_its_rows_are(exported, table, tmp_path):
    done = predict_dataset(exported, table, tmp_path / "out", partition=40)
    assert (done.rows, done.partitions, done.resumed, done.without_text, done.failed) == (100, 3, 0, 2, 0)
    assert done.first_without_text == ["a.parquet row 3", "a.parquet row 4"] and not done.notes
    out = pd.read_parquet(done.out).sort_values("id", ignore_index=True)
    assert out["id"].tolist() == list(range(100)) and out["year"].notna().sum() == 30  # a folder is a column
    assert out["source_file"].tolist() == ["a.parquet"] * 70 + ["year=2024/b.parquet"] * 30
    assert out["source_row"].tolist() == [*range(70), *range(30)]
    texts = out.dropna(subset="label")
    assert len(texts) == 98 and texts["label"].tolist() == exported.predict(texts["text"])
    names = sorted(path.name for path in tmp_path.rglob("*"))
    assert not [name for name in names if "unfinished" in name or "lock" in name or name.endswith(".part")]
    again = predict_dataset(exported, table, tmp_path / "out", partition=40)
    assert again.resumed == again.partitions == 3 and again.rows == 100


def test_columns_that_are_kept_and_a_file_alone(exported, table, tmp_path):
    options = {"keep": ["id"], "text_col": ["text"], "min_confidence": 0.99}
    done = predict_dataset(exported, table / "a.parquet", table.parent / "out", **options)
    out = pd.read_parquet(done.out)
    assert out.columns.tolist() == [
        "id", "source_file", "source_row", "label", "confidence", "prob_bad", "prob_good",
    ]  # fmt: skip
    assert out["label"].isna().all() and out["confidence"].notna().sum() == 68 and done.out.name == "out"
    more = predict_dataset(exported, done.out, tmp_path / "more", text_col=["source_file"], keep=["id"])
    assert pd.read_parquet(more.out)["source_row"].tolist() == list(range(70))  # of the first table
    assert pd.read_parquet(more.out).columns.tolist()[:3] == ["source_file", "source_row", "id"]


def test_a_run_goes_on_where_it_was_stopped(exported, table, begun):
    kept = begun.with_name("out.unfinished") / "a-000000000000.parquet"
    before = kept.stat().st_mtime_ns
    half = kept.with_name("year=2024") / ".kickbert-000000000000-1-1-0.part"  # of a worker on another machine
    half.write_text("half")
    done = predict_dataset(exported, table, begun, partition=40)
    assert (done.rows, done.partitions, done.resumed) == (100, 3, 1)
    assert (begun / kept.name).stat().st_mtime_ns == before and not list(begun.rglob("*.part"))
    assert sorted(pd.read_parquet(begun)["id"]) == list(range(100))


def test_files_that_changed_are_predicted_anew(exported, table, begun):
    df = pd.read_parquet(table / "a.parquet")
    stat = (table / "a.parquet").stat()
    df.assign(id=df["id"] + 1_000).to_parquet(table / "a.parquet", index=False, row_group_size=25)
    os.utime(table / "a.parquet", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    df.to_parquet(table / "c.parquet", index=False)
    done = predict_dataset(exported, table, begun, partition=40)
    assert done.resumed == 0 and done.rows == 170
    assert done.notes == ["files that changed since an earlier run are predicted anew, or left out: a.parquet"]
    assert sorted(pd.read_parquet(begun)["id"]) == [*range(100), *range(1_000, 1_070)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_confidence": 0.6}, "options: min_confidence was None, is 0.6"),
        ({"partition": 30}, "options: partition was 40, is 30"),
        ({"keep": ["id"]}, "options: columns was"),
    ],
)
def test_other_options_are_refused(exported, table, begun, options, message):
    with pytest.raises(ValueError, match=rf"out\.unfinished was begun otherwise \({message}"):
        predict_dataset(exported, table, begun, **{"partition": 40, **options})
    os.rename(begun.with_name("out.unfinished"), begun)
    with pytest.raises(ValueError, match=rf"has other predictions \({message}"):
        predict_dataset(exported, table, begun, **{"partition": 40, **options})


def test_another_model_is_refused(exported, served, table, begun):
    plan = begun.with_name("out.unfinished") / "_kickbert.json"
    with pytest.raises(ValueError, match="model: artifact was"):
        predict_dataset(kickbert.load(served / "one", backend="torch"), table, begun, partition=40)
    changed = json.loads(plan.read_text())
    changed["versions"]["kickbert"] = "0.0.1"
    plan.write_text(json.dumps(changed))
    with pytest.raises(ValueError, match=r"versions: kickbert was '0\.0\.1', is"):
        predict_dataset(exported, table, begun, partition=40)


def test_a_partition_that_fails_keeps_the_others(exported, table, tmp_path):
    good = (table / "a.parquet").read_bytes()
    (table / "a.parquet").write_bytes(good[:200] + bytes(400) + good[600:])  # its footer is whole
    with pytest.raises(
        RuntimeError, match=r"could not be predicted \(rows 0 to 69 of a\.parquet: .*kept in .*unfinished"
    ):
        predict_dataset(exported, table, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (table / "a.parquet").write_bytes(good)
    done = predict_dataset(exported, table, tmp_path / "out")
    assert done.resumed == 1 and sorted(pd.read_parquet(done.out)["id"]) == list(range(100))


RUN = """
import sys, kickbert
from helpers.steps import fragile
model = kickbert.load(sys.argv[1], backend="onnx", functions=[fragile])
kickbert.inference.predict_dataset(model, sys.argv[2], sys.argv[3], partition=10, workers=2)
"""


def test_a_driver_that_is_killed_is_gone_on_with(exported, tmp_path):
    (tmp_path / "in").mkdir()
    pd.DataFrame({"id": range(100), "text": [f"a slow film {i}" for i in range(100)]}).to_parquet(
        tmp_path / "in" / "a.parquet"
    )
    unfinished, out = tmp_path / "out.unfinished", tmp_path / "out"
    call = [sys.executable, "-c", RUN, exported.artifact.folder, tmp_path / "in", out]
    driver = subprocess.Popen(call, env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}, cwd=REPO)
    while len(list(unfinished.glob("*.parquet"))) < 2:
        assert driver.poll() is None
        time.sleep(0.02)
    with pytest.raises(ValueError, match=r"another process writes to .*out\.unfinished"):
        predict_dataset(exported, tmp_path / "in", out, partition=10)
    workers = psutil.Process(driver.pid).children(recursive=True)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    assert len(workers) == 2 and not psutil.wait_procs(workers, timeout=5)[1] and not out.exists()
    done = predict_dataset(exported, tmp_path / "in", out, partition=10)
    assert 2 <= done.resumed < 10 == done.partitions
    alone = predict_dataset(exported, tmp_path / "in", tmp_path / "alone", partition=10)
    pd.testing.assert_frame_equal(pd.read_parquet(out), pd.read_parquet(alone.out))
    assert pd.read_parquet(out)["id"].tolist() == list(range(100))


def test_what_cannot_be(exported, table, tmp_path, reviews, make):
    with pytest.raises(TypeError, match="other processes need a saved one"):
        predict_dataset(make(reviews), table, tmp_path / "out")
    for options, message in (
        ({"workers": 0}, "workers=0 must be at least 1"),
        ({"partition": -1}, "partition=-1 must be at least 1"),
        ({"engine": "spark"}, "engine='spark' is not one of"),
        ({"text_col": ["txt"]}, r"a\.parquet has no column 'txt'; it has .*Did you mean 'text'"),
        ({"text_col": ["id", "text"]}, "must name 1 columns"),
        ({"keep": ["ids"]}, "no file has a column 'ids'"),
    ):
        with pytest.raises(ValueError, match=message):
            predict_dataset(exported, table, tmp_path / "out", **options)
    with pytest.raises(ValueError, match="would be part of the table"):
        predict_dataset(exported, table, table / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(ValueError, match="is there already, and no predictions"):
        predict_dataset(exported, table, tmp_path / "out")
    pd.DataFrame({"text": ["a"]}).to_parquet(tmp_path / "mine.parquet")
    os.renames(tmp_path / "mine.parquet", tmp_path / "own.unfinished" / "mine.parquet")
    with pytest.raises(ValueError, match="is there already, and no unfinished"):
        predict_dataset(exported, table, tmp_path / "own")
    assert (tmp_path / "own.unfinished" / "mine.parquet").exists()
    with exclusive(tmp_path / "out2.unfinished"), pytest.raises(ValueError, match="another process writes"):
        predict_dataset(exported, table, tmp_path / "out2")


def test_it_needs_neither_fastai_nor_torch_to_be_imported():
    code = (
        "import sys, kickbert.inference.distributed; print([m for m in ('torch', 'fastai', 'ray') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
