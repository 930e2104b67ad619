"""An SQLite file that a kill, a crash or a second process cannot harm, and whose errors say what to do."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT = 5.0  # seconds to wait for another process that is writing


class DatabaseLocked(OSError):
    """Another program keeps the file to itself."""


class SqliteFile:
    """A database in a file, with a write-ahead log, each transaction on disk at its end; threads may share it.

    Args:
        file: made of `schema` where it is not there, or holds no table yet.
        schema: statements, parted by semicolons; a table `settings(name, value)` is added.
        application, version: numbers in the file's header that say whose it is, and in which format.
        settings: of a new file.
        wait: seconds to wait for another process that is writing.
    Raises:
        ValueError: it is no database, one of something else, of a newer format, or damaged.
        DatabaseLocked: another program keeps it to itself.
        OSError: it cannot be read or written.
    """

    def __init__(
        self,
        file: Path,
        schema: str,
        application: int,
        version: int,
        settings: Mapping[str, Any],
        wait: float = WAIT,
    ):
        if file.exists() and file.stat().st_size == 0:
            raise ValueError(f"{file} is an empty file; take it away to begin anew, or bring a copy back")
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file, self._wait, self._lock = file, wait, threading.RLock()
        with self._explained():
            self._connection = sqlite3.connect(file, timeout=wait, isolation_level=None, check_same_thread=False)
        try:
            with self._explained():
                self._open(schema, application, version, settings)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, schema: str, application: int, version: int, settings: Mapping[str, Any]) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        with self.transaction() as db:
            if not db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                db.execute("CREATE TABLE settings(name TEXT PRIMARY KEY, value TEXT NOT NULL)")
                for statement in schema.split(";"):
                    db.execute(statement)
                values = [(name, json.dumps(value)) for name, value in settings.items()]
                db.executemany("INSERT INTO settings VALUES (?, ?)", values)
                db.execute(f"PRAGMA application_id = {application}")
                db.execute(f"PRAGMA user_version = {version}")
        ((damage,),) = self.select("PRAGMA quick_check(1)")
        if damage != "ok":
            raise sqlite3.DatabaseError(damage)
        ((kind,),), ((format_of_file,),) = self.select("PRAGMA application_id"), self.select("PRAGMA user_version")
        if kind != application:
            raise ValueError(f"{self.file} is an SQLite database of something else; give another file")
        if format_of_file > version:
            raise ValueError(f"{self.file} has format {format_of_file}; this kickbert reads up to {version}: update it")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's errors as what one can do about them."""
        try:
            yield
        except sqlite3.DatabaseError as err:
            reason = str(err)
            if "locked" in reason or "busy" in reason:
                raise DatabaseLocked(
                    f"{self.file} has been kept locked by another program for {self._wait:g} s; close that (a backup, "
                    "a viewer of databases) and try again"
                ) from err
            if isinstance(err, sqlite3.OperationalError):
                raise OSError(f"{self.file} cannot be read or written: {reason}") from err
            raise ValueError(
                f"{self.file} is no database, or was cut short or damaged ({reason}); bring a copy back, or save what "
                f'can be read: sqlite3 {self.file.name} ".recover" | sqlite3 saved.db'
            ) from err

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The connection, in a transaction that is on disk at its end, or undone where an error left it."""
        with self._lock, self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def select(self, sql: str, *values: Any) -> list[tuple]:
        """The rows of a query."""
        with self._lock, self._explained():
            return self._connection.execute(sql, values).fetchall()

    def setting(self, name: str) -> Any:
        """A value that belongs to the whole file; None where there is none."""
        stored = self.select("SELECT value FROM settings WHERE name = ?", name)
        return json.loads(stored[0][0]) if stored else None

    def set(self, name: str, value: Any) -> None:
        """Keep such a value."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def checkpoint(self) -> None:
        """Bring what is in the write-ahead log into the file, so that a copy of the file alone has it."""
        self.select("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Let go of the file; its write-ahead log is brought into it."""
        with self._lock:
            self._connection.close()
