"""Labels are on disk at once: killed writers, several processes, changed tables, two people."""

import signal
import subprocess
import sys

import pandas as pd
import pytest
from conftest import REPO

from kickbert.labeling.database import LabelDatabase, Lease

TEXTS = ["a lamp", "a chair", "a lamp", "  ", "a table"]
WRITER = """
import sys
from kickbert.labeling.database import LabelDatabase
database, who = LabelDatabase(sys.argv[1]), sys.argv[2]
for i in range(int(sys.argv[3])):
    print(database.append(1 + i % 3, who, who, request=f"{who} {i}"), flush=True)
"""


@pytest.fixture
def database(make_database):
    return make_database(pd.DataFrame({"text": TEXTS}), name="labels.db")


def writer(file, who, labels) -> subprocess.Popen:
    call = [sys.executable, "-c", WRITER, str(file), who, str(labels)]
    return subprocess.Popen(call, stdout=subprocess.PIPE, text=True, cwd=REPO)


def test_rows_without_repeats_and_empty_texts(database):
    rows = database.rows()
    assert [row.key for row in rows] == sorted(row.key for row in rows)
    assert {row.texts[0]: row.position for row in rows} == {"a lamp": 0, "a chair": 1, "a table": 4}


def test_rows_are_recognized_after_the_table_was_sorted_cut_and_extended(database):
    ids = {row.texts[0]: row.id for row in database.rows()}
    database.append(ids["a chair"], "seat", "anna")
    changes = database.add_rows([("a table",), ("a new sofa",), ("a   lamp\r\n",)])
    assert (changes.new, changes.known, changes.gone, changes.gone_labeled) == (1, 2, 1, 1)
    now = {row.texts[0]: (row.id, row.position) for row in database.rows()}
    assert now["a table"] == (ids["a table"], 0) and now["a lamp"] == (ids["a lamp"], 2)
    assert now["a chair"] == (ids["a chair"], None)
    assert [label.label for label in database.labels()] == ["seat"]
    assert changes.described("t.csv", "labels.db") == [
        "t.csv: 1 new, 2 already in labels.db",
        "1 no longer in t.csv, so not asked (1 keep their labels)",
    ]
    assert database.add_rows([(text,) for text in TEXTS]).known == 3


def test_the_current_label_is_the_last_one_not_undone(database):
    first = database.append(1, "seat", "anna", seconds=2.5, note="sure")
    second = database.append(1, "light", "ben")
    (now,) = database.labels()
    assert (now.id, now.label, now.who) == (second, "light", "ben")
    assert [label.label for label in database.labels(history=True)] == ["seat", "light"]
    assert database.undo("anna").id == first and database.labels()[0].label == "light"
    assert database.undo("ben").id == second and database.labels() == []
    assert database.undo("ben") is None and database.count_labeled() == 0


def test_a_skipped_row_is_not_asked_again(database):
    database.append(2, None, "anna")
    assert database.labels()[0].label is None and database.count_labeled() == 0
    assert not database.lease(Lease(2), "browser")


def test_going_back_label_by_label(database):
    ids = [database.append(row, name, "anna") for row, name in ((1, "a"), (2, "b"), (3, "c"))]
    assert database.previous("anna").label == "c"
    assert database.previous("anna", ids[2]).label == "b" and database.previous("anna", ids[0]) is None
    assert database.previous("ben") is None


def test_a_repeated_request_adds_one_label(database):
    assert database.append(1, "seat", "anna", request="x") == database.append(1, "seat", "anna", request="x")
    assert len(database.labels(history=True)) == 1


def test_two_browsers_get_different_texts_and_a_lease_expires(database):
    suggestion = {"label": "seat", "confidence": 0.75}
    assert database.lease(Lease(1, "entropy", suggestion, True), "one") and not database.lease(Lease(1), "two")
    assert database.leased("one") == [Lease(1, "entropy", suggestion, True)] and database.leased("two") == []
    database.append(1, "seat", "anna", shown=True)
    (label,) = database.labels()
    assert (label.strategy, label.suggestion, label.shown) == ("entropy", suggestion, True)
    assert database.leased("one") == [] and not database.lease(Lease(1), "two")  # labeled
    database.append(1, "light", "ben")  # looked at again: still chosen by entropy
    assert database.labels()[0].strategy == "entropy"
    assert database.lease(Lease(2), "one", seconds=-1)
    assert database.lease(Lease(2), "two") and database.leased("one") == []


@pytest.mark.parametrize(
    ("suggestion", "shown", "stored"), [(True, False, False), (True, True, True), (None, True, False)]
)
def test_shown_is_what_the_page_showed(database, suggestion, shown, stored):
    database.lease(Lease(1, "entropy", suggestion and {"label": "seat", "confidence": 0.75}, True), "one")
    database.append(1, "seat", "anna", shown=shown)
    assert database.labels()[0].shown is stored


def test_a_suggestion_that_nobody_says_was_shown_was_not(database):
    lease = Lease(1, "entropy", {"label": "seat", "confidence": 0.75}, True)
    database.lease(lease, "one")
    database.append(1, "seat", "anna")
    assert not database.labels()[0].shown
    database.undo("anna")
    database.lease(lease, "one")
    database.append(1, "light", "anna", shown=True)
    database.append(1, "seat", "anna")  # without looking at it again
    assert [label.shown for label in database.labels(history=True)] == [True, True]
    database.undo("anna")
    database.undo("anna")
    database.lease(lease, "one")
    database.append(1, "seat", "anna")  # the person has seen the suggestion before the undo
    assert database.labels()[0].shown


def test_a_note_stays_with_the_row_until_it_is_removed(database):
    database.append(1, "seat", "anna", note="unsure")
    database.append(1, "light", "ben")
    assert database.labels()[0].note == "unsure"
    database.append(1, "light", "ben", note="")
    assert database.labels()[0].note is None
    database.append(1, "seat", "anna")
    assert [label.note for label in database.labels(history=True)] == ["unsure", "unsure", None, None]


def test_labels_of_a_table_do_not_replace_others(database):
    database.append(1, "seat", "anna")
    assert database.append_known({1: "light", 2: "light"}, "rows.csv", "table") == 1
    assert {label.row: label.label for label in database.labels()} == {1: "seat", 2: "light"}


def test_columns_task_and_file_are_checked(database, tmp_path):
    with pytest.raises(ValueError, match=r"was created with text_col=\['text'\], not \['title'\]; choose another file"):
        LabelDatabase(database.file, ["title"])
    with pytest.raises(ValueError, match="was created with task='single label', not 'ordinal'"):
        LabelDatabase(database.file, task="ordinal")
    with pytest.raises(ValueError, match="task='regression' cannot be labeled; choose one of"):
        LabelDatabase(tmp_path / "b.db", ["text"], "regression")
    with pytest.raises(ValueError, match=r"File not found: .*b\.db\. Create it: kickbert label rows\.csv --out"):
        LabelDatabase(tmp_path / "b.db")


@pytest.mark.system
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")
def test_a_killed_process_loses_and_duplicates_nothing(database):
    for who in ("a", "b"):
        process = writer(database.file, who, 10_000)
        acknowledged = [int(process.stdout.readline()) for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().splitlines() if line]
        process.wait()
        process.stdout.close()
        ids = [label.id for label in database.labels(history=True) if label.who == who]
        assert ids[: len(acknowledged)] == acknowledged  # what was acknowledged is there
        assert len(ids) - len(acknowledged) in (0, 1)  # one may be stored with its answer lost
    again = LabelDatabase(database.file)
    assert again.select("PRAGMA integrity_check") == [("ok",)]
    stored = len(again.labels(history=True))
    again.append(1, "a", "a", request="a 3")  # the page repeats a request without an answer
    assert len(again.labels(history=True)) == stored
    again.close()


@pytest.mark.system
def test_two_processes_write_at_once(database):
    processes = [writer(database.file, who, 60) for who in ("a", "b")]
    assert [process.communicate(timeout=60)[1] for process in processes] == [None, None]
    labels = database.labels(history=True)
    assert len({label.id for label in labels}) == 120
    assert {who: sum(label.who == who for label in labels) for who in "ab"} == {"a": 60, "b": 60}
