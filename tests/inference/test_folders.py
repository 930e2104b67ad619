"""Folders of Parquet files: every row is predicted once; finished files are skipped unless model or input changed."""

import json
import os

import numpy as np
import pandas as pd
import pytest

import kickbert
from kickbert.inference import predict_folder
from kickbert.inference.folders import MANIFEST

pa = pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
pq = pytest.importorskip("pyarrow.parquet")


def test_every_row_is_predicted_in_its_file(predictor, table, tmp_path):
    done = predict_folder(predictor, table, tmp_path / "out")
    assert (done.rows, done.files, done.resumed, done.without_text, done.failed) == (100, 2, 0, 2, 0)
    assert done.first_without_text == ["a.parquet row 3", "a.parquet row 4"] and not done.notes
    out = pd.read_parquet(done.out).sort_values("id", ignore_index=True)
    assert out["id"].tolist() == list(range(100)) and out["year"].notna().sum() == 30  # subfolders are kept
    texts = out.dropna(subset="predicted_label")
    assert len(texts) == 98 and texts["predicted_label"].tolist() == predictor.predict(texts["text"])
    names = {path.name for path in (tmp_path / "out").rglob("*")}
    assert names == {"a.parquet", "year=2024", "b.parquet", MANIFEST, "_SUCCESS"}


def test_a_run_that_was_stopped_continues(predictor, table, tmp_path):
    whole = pd.read_parquet(predict_folder(predictor, table, tmp_path / "out").out)
    manifest = tmp_path / "out" / MANIFEST
    first, second = manifest.read_text().splitlines(keepends=True)
    manifest.write_text(first + second[:20])  # killed while the line of the second file was written
    before = (tmp_path / "out" / "a.parquet").stat().st_mtime_ns
    done = predict_folder(predictor, table, tmp_path / "out")
    assert (done.rows, done.files, done.resumed, done.without_text) == (100, 2, 1, 2)
    assert (tmp_path / "out" / "a.parquet").stat().st_mtime_ns == before
    pd.testing.assert_frame_equal(pd.read_parquet(done.out), whole)
    (tmp_path / "out" / "a.parquet").unlink()
    assert predict_folder(predictor, table, tmp_path / "out").resumed == 1
    assert predict_folder(predictor, table, tmp_path / "out").resumed == 2


def test_changed_files_models_and_options_are_predicted_again(predictor, served, table, tmp_path):
    predict_folder(predictor, table, tmp_path / "out")
    stat = (table / "a.parquet").stat()
    df = pd.read_parquet(table / "a.parquet")
    df.assign(id=df["id"] + 1_000).to_parquet(table / "a.parquet", index=False)
    os.utime(table / "a.parquet", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    df.to_parquet(table / "c.parquet", index=False)
    done = predict_folder(predictor, table, tmp_path / "out")
    assert (done.files, done.resumed, done.rows) == (3, 1, 170)
    assert len(done.notes) == 1 and done.notes[0].endswith("so these were predicted again: a.parquet")
    assert sorted(pd.read_parquet(done.out)["id"]) == [*range(100), *range(1_000, 1_070)]
    assert predict_folder(predictor, table, tmp_path / "out", min_confidence=0.6).resumed == 0
    other = kickbert.load(served / "one", backend="torch")
    assert predict_folder(other, table, tmp_path / "out", min_confidence=0.6).resumed == 0
    assert predict_folder(other, table, tmp_path / "out", min_confidence=0.6).resumed == 3


def test_rows_that_raise_are_reported(predictor, table, tmp_path):
    texts = [*(f"a warm film {i}" for i in range(20)), "brittle", "", "brittle again"]
    pd.DataFrame({"id": range(23), "text": texts}).to_parquet(table / "c.parquet", index=False)
    done = predict_folder(predictor, table, tmp_path / "out")
    assert (done.failed, done.without_text) == (2, 3)
    assert done.first_failed == [f"c.parquet row {row}: ValueError: it broke" for row in (20, 22)]
    out = pd.read_parquet(tmp_path / "out" / "c.parquet")
    assert out["predicted_label"].isna().to_numpy().nonzero()[0].tolist() == [20, 21, 22]
    assert out["predicted_label"][:20].tolist() == predictor.predict(texts[:20])


def test_a_file_that_cannot_be_read_keeps_the_finished_ones(predictor, table, tmp_path):
    good = (table / "year=2024" / "b.parquet").read_bytes()
    (table / "year=2024" / "b.parquet").write_bytes(good[:100] + bytes(200) + good[300:])  # the footer is whole
    with pytest.raises(RuntimeError, match=r"year=2024/b\.parquet could not be predicted \(.*Run it again"):
        predict_folder(predictor, table, tmp_path / "out")
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    (table / "year=2024" / "b.parquet").write_bytes(good)
    done = predict_folder(predictor, table, tmp_path / "out")
    assert done.resumed == 1 and sorted(pd.read_parquet(done.out)["id"]) == list(range(100))


def test_kept_columns_and_their_types(predictor, tmp_path):
    columns = {
        "text": ["a film", None],
        "big": pa.array([2**60 + 1, None]),
        "when": pa.array([1, 2], pa.timestamp("us", "UTC")),
        "tags": [["x"], []],
        "label": pa.array([True, None]),
    }
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "in" / "a.parquet")
    done = predict_folder(predictor, tmp_path / "in", tmp_path / "out")
    out = pq.read_table(done.out / "a.parquet")
    assert out.select(list(columns)).equals(pa.table(columns))
    assert out.column_names[5:] == ["predicted_label", "confidence", "prob_bad", "prob_good"]
    done = predict_folder(predictor, tmp_path / "in", tmp_path / "out", keep=["big"], text_col=["text"])
    columns = pq.read_table(done.out / "a.parquet").column_names
    assert columns == ["big", "predicted_label", "confidence", "prob_bad", "prob_good"]
    np.testing.assert_allclose(pd.read_parquet(done.out)["prob_bad"], out["prob_bad"].to_pandas())


def test_which_files_belong_to_the_folder(predictor, table, tmp_path):
    (table / "_SUCCESS").touch()
    (table / ".hidden").mkdir()
    pd.DataFrame({"text": ["a"]}).to_parquet(table / ".hidden" / "c.parquet")
    pd.DataFrame({"text": [], "id": []}).to_parquet(table / "empty.parquet")
    (table / "notes.csv").write_text("text\na\n")
    done = predict_folder(predictor, table, tmp_path / "out")
    assert done.files == 2
    assert done.notes == [
        "files without rows were skipped: empty.parquet",
        "files that are not .parquet were skipped: notes.csv",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0, "engine": "ray"}, "workers=0 must be at least 1"),
        ({"workers": 2}, "needs engine='ray'"),
        ({"engine": "spark"}, "engine='spark' does not exist"),
        ({"text_col": ["txt"]}, r"a\.parquet has no column 'txt'\. Columns: .*id you mean 'text'"),
        ({"text_col": ["id", "text"]}, "must name 1 different columns"),
        ({"keep": ["ids"]}, r"a\.parquet has no column 'ids'"),
    ],
)
def test_invalid_options(predictor, table, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        predict_folder(predictor, table, tmp_path / "out", **options)


def test_invalid_folders(predictor, table, tmp_path, make, reviews):
    with pytest.raises(TypeError, match="not a predictor"):
        predict_folder(make(reviews), table, tmp_path / "out")
    with pytest.raises(ValueError, match="Folder not found"):
        predict_folder(predictor, tmp_path / "none", tmp_path / "out")
    with pytest.raises(ValueError, match="would become part of its input"):
        predict_folder(predictor, table, table / "out")
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match=r"has no \.parquet files with rows\. Other files: none"):
        predict_folder(predictor, tmp_path / "mine", tmp_path / "out")
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(ValueError, match="mine holds other files"):
        predict_folder(predictor, table, tmp_path / "mine")
    predict_folder(predictor, table, tmp_path / "out")
    (table / "a.parquet").unlink()
    with pytest.raises(ValueError, match=r"a\.parquet has no input file"):
        predict_folder(predictor, table, tmp_path / "out")
    pd.DataFrame({"text": ["a"], "late": [1]}).to_parquet(table / "a.parquet")
    with pytest.raises(ValueError, match=r"do not have the same columns \(id, late in one of them\)"):
        predict_folder(predictor, table, tmp_path / "out")
    assert predict_folder(predictor, table, tmp_path / "out", keep=["text"]).rows == 31
    (table / "a.parquet").write_bytes(b"PAR1 and nonsense")
    with pytest.raises(ValueError, match=r"a\.parquet cannot be read"):
        predict_folder(predictor, table, tmp_path / "out")


def test_the_manifest_has_a_line_per_file(predictor, table, tmp_path):
    done = predict_folder(predictor, table, tmp_path / "out")
    entries = [json.loads(line) for line in (done.out / MANIFEST).read_text().splitlines()]
    assert [(entry["file"], entry["rows"]) for entry in entries] == [("a.parquet", 70), ("year=2024/b.parquet", 30)]
