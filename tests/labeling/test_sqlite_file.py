"""Damaged, locked and foreign files raise clear errors, and writes are atomic."""

import sqlite3

import pytest

from kickbert.labeling.sqlite_file import DatabaseLocked, SqliteFile

SCHEMA = "CREATE TABLE things(name TEXT PRIMARY KEY)"


@pytest.fixture
def opened(tmp_path):
    files = []

    def make(name="a.db"):
        files.append(SqliteFile(tmp_path / name, SCHEMA, {"color": "red"}, wait=0.05))
        return files[-1]

    yield make
    for file in files:
        file.close()


def test_settings_and_durability(opened):
    file = opened()
    assert file.setting("color") == "red" and file.setting("size") is None
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


def test_a_copy_of_the_one_file_is_complete_after_a_checkpoint(opened, tmp_path):
    file = opened()
    file.set("size", 3)
    file.checkpoint()
    (tmp_path / "copy.db").write_bytes((tmp_path / "a.db").read_bytes())
    assert opened("copy.db").setting("size") == 3


def test_a_lock_of_another_program_is_explained(opened):
    file = opened()
    other = sqlite3.connect(file.file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseLocked, match=r"a\.db has been locked by another program for 0\.05 s; close that"):
        file.set("size", 1)
    other.execute("ROLLBACK")
    file.set("size", 1)
    other.close()


def test_foreign_and_newer_files_are_explained(opened, tmp_path):
    (tmp_path / "text.db").write_text("name,label\n" * 100)
    with pytest.raises(ValueError, match=r"text\.db is not a database, or is damaged"):
        opened("text.db")
    (tmp_path / "empty.db").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty\.db is empty; delete it to start over"):
        opened("empty.db")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE x(y)").connection.close()
    with pytest.raises(ValueError, match=r"other\.db is an SQLite database of another program"):
        opened("other.db")
    opened().select("PRAGMA user_version = 2")
    with pytest.raises(ValueError, match="has format 2, newer than 1; update kickbert"):
        opened()


def test_a_truncated_file_is_explained(opened, tmp_path):
    file = opened()
    with file.transaction() as db:
        db.executemany("INSERT INTO things VALUES (?)", [(f"name {i} " * 20,) for i in range(2_000)])
    file.close()
    whole = (tmp_path / "a.db").read_bytes()
    (tmp_path / "cut.db").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.db is not a database, or is damaged \(.*\.recover"):
        opened("cut.db")
