"""`kickbert label` hands over what was typed, and `kickbert train` takes what it wrote."""

import json
import sys

import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="the extra kickbert[label] is not installed")
pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")
from kickbert.cli.commands import main
from kickbert.labeling import app, tables
from kickbert.labeling.classes import ClassList, add_classes
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


def test_what_was_typed_is_handed_over(kickbert, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(app, "label_rows", lambda rows, out, **how: calls.append((rows, out, how)))
    pd.DataFrame({"title": ["a"]}).to_csv(tmp_path / "rows.csv", index=False)
    code, _, err = kickbert(
        "label", tmp_path / "rows.csv", "--text", "title", "--labels", "sport,business news, ", "--out", "x.db",
        "--task", "ordinal", "--strategy", "entropy", "--port", 9,
    )  # fmt: skip
    assert code == 0, err
    ((rows, out, how),) = calls
    assert rows["title"].tolist() == ["a"] and str(out) == "x.db" and how["source"] == "rows.csv"
    assert how["classes"] == ["sport", "business news"] and how["task"] == "ordinal"
    assert how["text_col"] == ["title"] and how["port"] == 9
    assert how["settings"].strategy == "entropy" and how["host"] == "127.0.0.1"
    monkeypatch.setattr(tables, "read", lambda out: ["a label"])
    assert json.loads(kickbert("label", tmp_path / "old.db", "--json")[1])["labelled"] == 1
    assert calls[1][0] is None and calls[1][1] == tmp_path / "old.db"  # goes on with the texts that it has


def test_errors_are_a_line(kickbert, tmp_path):
    code, _, err = kickbert("label", tmp_path / "old.db", "--port", 0)
    assert code == 1 and err.strip().endswith(
        "old.db is not there; make it: kickbert label rows.csv --out " + str(tmp_path / "old.db")
    )
    pd.DataFrame({"text": ["a"]}).to_csv(tmp_path / "rows.csv", index=False)
    code, _, err = kickbert("label", tmp_path / "rows.csv", "--strategy", "best")
    assert code == 1 and "--strategy 'best' is not one of" in err


def test_train_takes_a_database_of_labels(kickbert, reviews, tiny, tmp_path):
    database = LabelDatabase(tmp_path / "labels.db", ["review"])
    add_classes(ClassList(database), ["good", "bad"])
    add_table(database, reviews.rename(columns={"text": "review"}), "label")
    database.close()
    code, out, err = kickbert("train", tmp_path / "labels.db", "--out", tmp_path / "k", "--model", tiny, "--json")
    assert code == 0 and json.loads(out)["model"].endswith("k/v1"), err
