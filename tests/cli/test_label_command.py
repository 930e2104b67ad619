"""`kickbert label` passes its options on, and `kickbert train` reads its database."""

import json
import sys
from contextlib import nullcontext

import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[label] is not installed")
pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")
from kickbert.cli.commands import main
from kickbert.labeling import server, tables
from kickbert.labeling.database import LabelDatabase
from kickbert.labeling.tables import add_table


@pytest.fixture
def kickbert(monkeypatch, capsys):
    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kickbert", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return call


def test_options_are_passed_on(kickbert, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(server, "label_rows", lambda rows, out, **options: calls.append((rows, out, options)))
    pd.DataFrame({"title": ["a"]}).to_csv(tmp_path / "rows.csv", index=False)
    code, _, err = kickbert(
        "label", tmp_path / "rows.csv", "--text", "title", "--labels", 'sport,"business, money", ', "--out", "x.db",
        "--task", "ordinal", "--strategy", "entropy", "--port", 9,
    )  # fmt: skip
    assert code == 0, err
    ((rows, out, options),) = calls
    assert rows["title"].tolist() == ["a"] and str(out) == "x.db" and options["source"] == "rows.csv"
    assert options["classes"] == ["sport", "business, money"] and options["task"] == "ordinal"
    assert options["text_col"] == ["title"] and options["port"] == 9
    assert options["settings"].strategy == "entropy" and options["host"] == "127.0.0.1"
    monkeypatch.setattr(tables, "read", lambda out: ["a label"])
    assert json.loads(kickbert("label", tmp_path / "old.db", "--json")[1])["labeled"] == 1
    assert calls[1][0] is None and calls[1][1] == tmp_path / "old.db"  # continues with the texts in the database


def test_the_page_labels_the_text_that_training_reads(kickbert, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(server, "label_rows", lambda rows, out, **options: calls.append(rows))
    (tmp_path / "rows.csv").write_text("text\n1.50\n2.00\n10\n")
    code, _, err = kickbert("label", tmp_path / "rows.csv", "--labels", "a,b")
    assert code == 0, err
    assert calls[0]["text"].tolist() == ["1.50", "2.00", "10"]


def test_encoding_separator_and_known_labels(kickbert, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(server, "label_rows", lambda rows, out, **options: calls.append(rows))
    (tmp_path / "rows.csv").write_bytes("headline;art\n1.50;007\ngrün, blau;1.0\nrot;\n".encode("cp1252"))
    options = [
        "--text",
        "headline",
        "--target",
        "art",
        "--encoding",
        "cp1252",
        "--sep",
        ";",
        "--out",
        tmp_path / "a.db",
    ]
    code, _, err = kickbert("label", tmp_path / "rows.csv", *options)
    assert code == 0, err
    assert calls[0]["headline"].tolist() == ["1.50", "grün, blau", "rot"]
    assert calls[0]["art"].tolist()[:2] == ["007", "1.0"]
    LabelDatabase(tmp_path / "a.db", ["headline"]).close()
    code, _, err = kickbert("label", tmp_path / "rows.csv", *options[4:])  # the database knows the column
    assert calls[1]["headline"].tolist() == ["1.50", "grün, blau", "rot"]
    code, _, err = kickbert("label", tmp_path / "a.db", "--sep", ";")
    assert code == 1 and "--sep is for text files" in err
    code, _, err = kickbert("label", tmp_path / "rows.csv", "--text", "headlines")
    assert code == 1 and "rows.csv has no column 'headlines' (--text). Columns: 'headline', 'art'. Did you mean" in err


def test_errors_are_one_line(kickbert, monkeypatch, tmp_path):
    monkeypatch.setattr(server, "open_socket", lambda host, port: nullcontext())
    monkeypatch.setattr(server, "_models", lambda model: (None, None))
    code, _, err = kickbert("label", tmp_path / "old.db")
    assert code == 1 and f"File not found: {tmp_path / 'old.db'}" in err
    pd.DataFrame({"text": ["a"]}).to_csv(tmp_path / "rows.csv", index=False)
    code, _, err = kickbert("label", tmp_path / "rows.csv", "--strategy", "best")
    assert code == 1 and "'best' is not one of" in err
    code, _, err = kickbert("label", tmp_path / "rows.csv", "--port", 99_999)
    assert code == 2 and "65535" in err


@pytest.mark.system
def test_train_reads_a_database_of_labels(kickbert, reviews, tiny, tmp_path):
    database = LabelDatabase(tmp_path / "labels.db", ["review"])
    add_table(database, reviews.rename(columns={"text": "review"}), "label")
    database.close()
    code, out, err = kickbert("train", tmp_path / "labels.db", "--out", tmp_path / "k", "--model", tiny, "--json")
    assert code == 0 and json.loads(out)["model"].endswith("k/v1"), err
