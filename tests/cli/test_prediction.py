"""Commands for a saved model: predictions of files, exports, benchmarks."""

import gzip
import json

import pandas as pd
import pytest


def test_predict(kickbert, rows, served, tmp_path):
    options = ["--model", served / "one", "--backend", "torch"]
    done = kickbert("predict", rows, tmp_path / "out.csv", *options, "--json")
    assert json.loads(done.stdout)["rows"] == 120, done.stderr
    assert (tmp_path / "out.csv").read_text().startswith("text,label,predicted_label,confidence")
    done = kickbert("predict", rows, tmp_path / "out.csv", *options)
    assert done.returncode == 1 and "out.csv exists. Pass --overwrite to replace it" in done.stderr
    options.append("--overwrite")
    done = kickbert("predict", rows, rows, *options)
    assert done.returncode == 1 and "rows.csv is the input and would be overwritten" in done.stderr
    assert rows.read_text().startswith("text,label\n")
    done = kickbert("predict", rows, tmp_path / "out.csv", *options, "--min-confidence", 1.1)
    assert "120 rows (100.0%) without a label: confidence too low" in done.stdout
    (tmp_path / "in.csv").write_bytes("id;text;\n1;schöner Film;\n2;;\n3;a;b;c;\n".encode("latin-1"))
    done = kickbert("predict", tmp_path / "in.csv", tmp_path / "out.csv", *options)
    printed = " ".join(done.stdout.split())
    assert "2 rows → " in printed and "1 row without text, without a prediction: [1]" in printed
    assert "line 4: 5 cells where the header has 3" in printed and "in.csv: detected encoding 'cp1252'" in printed
    assert "schöner Film" in (tmp_path / "out.csv").read_text(encoding="utf-8")


def test_predict_a_folder(kickbert, rows, served, tmp_path):
    pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
    (tmp_path / "in").mkdir()
    pd.read_csv(rows).to_parquet(tmp_path / "in" / "a.parquet")
    pd.DataFrame({"text": ["a film", None], "more": 1}).to_parquet(tmp_path / "in" / "b.parquet")
    options = ["--model", served / "one", "--backend", "torch"]
    done = kickbert("predict", tmp_path / "in", tmp_path / "out", *options, "--keep", "text")
    assert done.returncode == 0 and "122 rows → " in done.stdout and "without a label" not in done.stdout, done.stderr
    assert "1 row without text, without a prediction: ['b.parquet row 1']" in done.stdout
    assert pd.read_parquet(tmp_path / "out").columns.tolist()[:2] == ["text", "predicted_label"]
    done = kickbert("predict", tmp_path / "in", tmp_path / "out", *options, "--keep", "text", "--json")
    assert json.loads(done.stdout)["resumed"] == 2, done.stderr


@pytest.mark.parametrize(
    ("folder", "options", "error"),
    [
        (True, ["--engine", "rya"], "--engine rya is not available; use --engine ray, or leave it out"),
        (True, ["--sep", ";"], "--sep is for text files, but the input is a folder"),
        (True, ["--workers", "2"], "--workers needs --engine ray"),
        (False, ["--engine", "ray"], "--engine is for folders of Parquet files, but the input is a file"),
    ],
)
def test_options_that_do_not_apply_to_the_input(kickbert, rows, served, tmp_path, folder, options, error):
    source = tmp_path if folder else rows
    done = kickbert("predict", source, tmp_path / "out", "--model", served / "one", *options)
    assert done.returncode == 1 and done.stderr == f"error: {error}\n"


def test_a_truncated_file_is_not_reported_as_stopped(kickbert, served, tmp_path):
    texts = [f"film {number}" for number in (i * 7919 % 1000 for i in range(2000))]
    packed = gzip.compress("\n".join(["text", *texts]).encode())
    (tmp_path / "in.csv.gz").write_bytes(packed[:-100])
    done = kickbert(
        "predict", tmp_path / "in.csv.gz", tmp_path / "o.csv", "--model", served / "one", "--backend", "torch"
    )
    assert done.returncode == 1 and "in.csv.gz is truncated" in done.stderr and "stopped" not in done.stderr
    assert not (tmp_path / "o.csv").exists()


def test_bench(kickbert, rows, served):
    done = kickbert("bench", served / "one", rows, "--batch-size", 4, "--seconds", 0.1, "--backend", "torch")
    assert done.returncode == 0 and "texts per second" in done.stdout, done.stderr
    assert "Backend torch, 1 worker" in done.stdout


def test_export(kickbert, served, rows, monkeypatch):
    calls = []

    def export(folder, df, formats, **options):
        calls.append((len(df), formats, options))
        return pd.DataFrame({"format": ["torch", *formats]})

    monkeypatch.setattr("kickbert.export", export)
    done = kickbert("export", served / "one", rows, "--format", "onnx", "--limit", 1, "--force", "--json")
    assert [row["format"] for row in json.loads(done.stdout)] == ["torch", "onnx"], done.stderr
    assert calls == [(120, ["onnx"], {"limit": 1, "force": True, "functions": ()})]
    done = kickbert("export", served / "two", rows)
    assert done.returncode == 1 and done.stderr.startswith("error: rows.csv has no column 'more' (--text). Columns: ")
