"""Files that are cut short, locked, or of something else are told in a sentence, and nothing is half written."""

import sqlite3
import time

import pytest

from kickbert.labeling.sqlite_file import DatabaseLocked, SqliteFile

SCHEMA = "CREATE TABLE things(name TEXT PRIMARY KEY)"


@pytest.fixture
def opened(tmp_path):
    made = []

    def make(name="a.db", application=7, version=1, wait=0.05):
        made.append(SqliteFile(tmp_path / name, SCHEMA, application, version, {"colour": "red"}, wait))
        return made[-1]

    yield make
    for file in made:
        file.close()


def test_settings_and_durability(opened):
    file = opened()
    assert file.setting("colour") == "red" and file.setting("size") is None
    file.set("size", [1, 2])
    assert opened().setting("size") == [1, 2]  # by another connection
    assert file.select("PRAGMA journal_mode") == [("wal",)] and file.select("PRAGMA synchronous") == [(2,)]


def test_an_error_undoes_the_whole_transaction(opened):
    file = opened()
    with pytest.raises(RuntimeError), file.transaction() as db:
        db.execute("INSERT INTO things VALUES ('a')")
        raise RuntimeError
    assert file.select("SELECT * FROM things") == []
    with file.transaction() as db:
        db.execute("INSERT INTO things VALUES ('a')")
    assert file.select("SELECT * FROM things") == [("a",)]


def test_a_copy_of_the_one_file_has_everything_after_a_checkpoint(opened, tmp_path):
    file = opened()
    file.set("size", 3)
    file.checkpoint()
    (tmp_path / "copy.db").write_bytes((tmp_path / "a.db").read_bytes())
    assert opened("copy.db").setting("size") == 3


def test_what_another_program_locks_is_told_in_time(opened):
    file = opened()
    other = sqlite3.connect(file.file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    start = time.perf_counter()
    with pytest.raises(DatabaseLocked, match=r"a\.db has been kept locked by another program for 0\.05 s; close that"):
        file.set("size", 1)
    assert time.perf_counter() - start < 5
    other.execute("ROLLBACK")
    file.set("size", 1)
    other.close()


def test_what_is_no_database_is_told(opened, tmp_path):
    (tmp_path / "text.db").write_text("name,label\n" * 100)
    with pytest.raises(ValueError, match=r"text\.db is no database, or was cut short or damaged"):
        opened("text.db")
    (tmp_path / "empty.db").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty\.db is an empty file"):
        opened("empty.db")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE x(y)").connection.close()
    with pytest.raises(ValueError, match=r"other\.db is an SQLite database of something else"):
        opened("other.db")


def test_a_newer_format_is_told(opened):
    opened(version=2)
    with pytest.raises(ValueError, match="has format 2; this kickbert reads up to 1"):
        opened(version=1)


def test_a_file_that_was_cut_short_is_told(opened, tmp_path):
    file = opened()
    with file.transaction() as db:
        db.executemany("INSERT INTO things VALUES (?)", [(f"name {i} " * 20,) for i in range(2_000)])
    file.close()
    whole = (tmp_path / "a.db").read_bytes()
    (tmp_path / "cut.db").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.db is no database, or was cut short or damaged \(.*\.recover"):
        opened("cut.db")
