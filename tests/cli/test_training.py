"""From a file of rows to a model, its scores and pages."""

import json
from pathlib import Path

import pytest


def test_train_evaluate_report_explore(kickbert, rows, tiny, tmp_path):
    done = kickbert("train", rows, "--out", tmp_path / "k", "--model", tiny, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["model"].endswith("k/v1") and result["ladder"][0]["phase"] == "head"
    assert {row["score"] for row in result["scores"]} > {"accuracy", "MCC"}

    done = kickbert("evaluate", tmp_path / "k", rows)
    assert done.returncode == 0, done.stderr
    assert "On 120 rows; low, high: 95 % bootstrap interval" in done.stdout and "Per-class scores" in done.stdout
    done = kickbert("report", tmp_path / "k", rows, "--out", tmp_path / "r.html")
    assert done.returncode == 0 and "Summary" in (tmp_path / "r.html").read_text(), done.stderr
    done = kickbert("explore", rows, "--out", tmp_path / "e.html")
    assert done.returncode == 0 and (tmp_path / "e.html").exists(), done.stderr


@pytest.fixture
def spreadsheet(tmp_path):
    """A German spreadsheet: semicolons, Latin-1, rows that end in a semicolon."""

    def write(*labels: str) -> Path:
        rows = [f"{i};schöner Film, Nummer {i};{label};" for i, label in enumerate(labels)]
        (tmp_path / "rows.csv").write_bytes("\n".join(["Größe;text;label", *rows]).encode("latin-1"))
        return tmp_path / "rows.csv"

    return write


def test_train_reads_what_is_written(kickbert, spreadsheet, tmp_path, monkeypatch):
    def learner_from_df(df, **options):
        assert df["text"].str.startswith("schöner Film, Nummer").all() and options["text_col"] == ["text"]
        assert df["Größe"].dtype == "int64" and sorted(set(df["label"])) == ["NA", "None"]
        raise ValueError("read as it should be")

    monkeypatch.setattr("kickbert.learner_from_df", learner_from_df)
    done = kickbert("train", spreadsheet(*["NA", "None"] * 20), "--out", tmp_path / "k")
    warning, error = done.stderr.splitlines()
    assert warning.startswith("warning: rows.csv was read with encoding 'cp1252'") and "separator ';'" in warning
    assert error == "error: read as it should be"


def test_evaluate_takes_encoding_and_separator(kickbert, spreadsheet, served):
    rows = spreadsheet(*["good", "bad"] * 10)
    options = ["--encoding", "latin-1", "--sep", ";", "--backend", "torch", "--json"]
    done = kickbert("evaluate", served / "one", rows, *options)
    assert json.loads(done.stdout)["rows"] == 20 and not done.stderr
    done = kickbert("evaluate", served / "one", rows, "--sep", ",", "--backend", "torch")
    assert done.returncode == 1 and "no rows" in done.stderr
