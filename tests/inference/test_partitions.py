"""A partition: every row of its span, once, in order, in its types; what cannot be predicted is found and named."""

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kickbert.inference import partitions
from kickbert.inference.distributed import _work
from kickbert.inference.partitions import ROW, TRAILS, Partition, predict_partition, read_account
from kickbert.inference.table_folders import TableFolder

pa = pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def prepare(exported, tmp_path):
    """Work on a folder, and its partitions of at most so many rows."""

    def make(folder, rows=1_000, piece=8, **options):
        table, out = TableFolder(folder), tmp_path / "out"
        (out / TRAILS).mkdir(parents=True)
        chosen = {"text_col": None, "keep": None, "min_confidence": None, **options}
        return replace(_work(exported, table, out, **chosen), piece=piece), table.partitions(rows)

    return make


def predicted(work, parts) -> pd.DataFrame:
    """Predict partitions and read them."""
    outcomes = [predict_partition(work, part) for part in parts]
    assert [outcome.error for outcome in outcomes] == [None] * len(parts)
    return pd.concat([pd.read_parquet(work.out / part.name, partitioning=None) for part in parts], ignore_index=True)


def test_spans_across_row_groups_hold_every_row_once(prepare, exported, table):
    work, parts = prepare(table, rows=31)
    out = predicted(work, parts)
    assert out["id"].tolist() == list(range(100)) and out[ROW].tolist() == [*range(70), *range(30)]
    expected = exported.predict_df(out[["text"]].fillna(""))
    assert out["label"].equals(expected["label"].astype(out["label"].dtype))
    np.testing.assert_allclose(out["prob_good"], expected["prob_good"], atol=1e-6)
    account = read_account(work.out / parts[0].name)
    assert (account.rows, account.without_text, account.first_without_text, account.failed) == (
        31,
        2,
        [3, 4],
        [],
    ) and not account.without_label
    assert not list((work.out / TRAILS).iterdir())


def test_kept_columns_keep_their_types(prepare, tmp_path):
    columns = {
        "text": ["a film", None],
        "big": pa.array([2**60 + 1, None]),
        "when": pa.array([1, 2], pa.timestamp("us", "UTC")),
        "tags": [["x"], []],
        "label": pa.array([True, None]),
    }
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "in" / "a.parquet")
    work, parts = prepare(tmp_path / "in")
    predict_partition(work, parts[0])
    out = pq.read_table(work.out / parts[0].name)
    assert out.select(list(columns)).equals(pa.table(columns))
    assert out.column_names[5:] == [
        "source_file", "source_row", "predicted_label", "confidence", "prob_bad", "prob_good",
    ]  # fmt: skip
    assert out.schema.field("predicted_label").type == pa.string()


def test_rows_that_raise_are_found_and_named(prepare, exported, tmp_path):
    broken = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(np.array([0, 1, 2, 3], np.int32)), pa.py_buffer(b"a\xffb")]
    )
    films = [f"a warm film {i}" for i in range(20)]
    texts = pa.chunked_array([pa.array(films), broken, pa.array(["brittle", "a"])])
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": texts}), tmp_path / "in" / "a.parquet")
    work, parts = prepare(tmp_path / "in")
    assert predict_partition(work, parts[0]).error is None
    account = read_account(work.out / parts[0].name)
    assert [row for row, _ in account.failed] == [21, 23] and account.rows == 25 and account.without_text == 0
    assert "UnicodeDecodeError" in account.failed[0][1] and account.failed[1][1] == "ValueError: it broke"
    labels = pq.read_table(work.out / parts[0].name, columns=["label", "confidence"]).to_pandas()
    assert labels["confidence"].isna().to_numpy().nonzero()[0].tolist() == [21, 23]
    assert labels["label"][:20].tolist() == exported.predict(films)


def test_where_all_rows_fail_it_is_an_error(prepare, tmp_path, monkeypatch):
    monkeypatch.setattr(partitions, "MOST_FAILED", 5)
    (tmp_path / "in").mkdir()
    pd.DataFrame({"text": [f"brittle {i}" for i in range(20)]}).to_parquet(tmp_path / "in" / "a.parquet")
    work, parts = prepare(tmp_path / "in")
    error = predict_partition(work, parts[0]).error
    assert isinstance(error, RuntimeError) and "more than 5 rows cannot be predicted" in str(error)
    assert "it broke" in str(error) and [p.name for p in work.out.iterdir()] == [TRAILS]


def test_a_file_that_changes_meanwhile(prepare, table):
    work, parts = prepare(table)
    os.utime(table / "a.parquet", ns=(1, 1))
    assert "a.parquet was changed while it was predicted" in str(predict_partition(work, parts[0]).error)
    assert not (work.out / parts[0].name).exists()


def test_another_model_in_the_folder(prepare, table):
    work, parts = prepare(table)
    folder, _, *others = work.opening
    error = predict_partition(replace(work, opening=(folder, "another", *others)), parts[0]).error
    assert "holds another model now" in str(error)


def test_a_process_that_died_too_often(prepare, table):
    work, parts = prepare(table)
    trail = partitions._Trail(work.out / TRAILS / partitions.digest(parts[0].name))
    trail._write(["opening the model"] * partitions.MOST_DEATHS)
    assert "died 64 times, the last time at opening the model" in str(predict_partition(work, parts[0]).error)


def test_a_span_is_halved_when_a_process_died_in_it_twice(prepare, table, monkeypatch):
    work, parts = prepare(table, piece=8)
    file = work.out / TRAILS / partitions.digest(parts[0].name)
    file.write_text("\n".join(["rows 8 to 15"] * 2 + ["rows 16 to 23"]))
    steps, write = [], partitions._Trail._write
    monkeypatch.setattr(partitions._Trail, "_write", lambda self, lines: (steps.append(lines[-1]), write(self, lines)))
    assert predict_partition(work, parts[0]).error is None
    assert {"rows 8 to 11", "rows 12 to 15", "rows 16 to 23"} <= set(steps) and "rows 8 to 15" not in steps
    assert read_account(work.out / parts[0].name).failed == []


def test_names():
    part = Partition("year=2024/b.parquet", 20_000, 40_000, (0, 0))
    assert part.name == "year=2024/b-000000020000.parquet"
    assert str(part) == "rows 20,000 to 39,999 of year=2024/b.parquet"
