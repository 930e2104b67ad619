"""An SQLite file that survives crashes and a second process, with errors that say what to do."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

APPLICATION = 0x6B627274  # "kbrt" in the file's header
VERSION = 1  # of the schema
WAIT = 5.0  # seconds to wait for another process that is writing


class DatabaseLocked(OSError):
    """Another program has locked the file."""


class SqliteFile:
    """A database file with a write-ahead log. Each transaction is on disk when it ends. Threads may share it.

    Args:
        file: Path; created from `schema` if it does not exist.
        schema: Statements separated by semicolons; a table `settings(name, value)` is added.
        settings: Values to store in a new file.
        wait: Seconds to wait for another process that is writing.
    Raises:
        ValueError: The file is damaged, not a label database, or of a newer format.
        DatabaseLocked: Another program has locked the file.
        OSError: The file cannot be read or written.
    """

    def __init__(self, file: Path, schema: str, settings: Mapping[str, Any], wait: float = WAIT):
        if file.exists() and file.stat().st_size == 0:
            raise ValueError(f"{file} is empty; delete it to start over, or restore a backup")
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self._wait = wait
        self._lock = threading.RLock()
        with self._plain_errors():
            self._connection = sqlite3.connect(file, timeout=wait, isolation_level=None, check_same_thread=False)
        try:
            with self._plain_errors():
                self._open(schema, settings)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, schema: str, settings: Mapping[str, Any]) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        with self.transaction() as db:
            if db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,):
                db.execute("CREATE TABLE settings(name TEXT PRIMARY KEY, value TEXT NOT NULL)")
                for statement in schema.split(";"):
                    db.execute(statement)
                values = [(name, json.dumps(value)) for name, value in settings.items()]
                db.executemany("INSERT INTO settings VALUES (?, ?)", values)
                db.execute(f"PRAGMA application_id = {APPLICATION}")
                db.execute(f"PRAGMA user_version = {VERSION}")
        damage = self._pragma("quick_check(1)")
        if damage != "ok":
            raise sqlite3.DatabaseError(damage)
        if self._pragma("application_id") != APPLICATION:
            raise ValueError(f"{self.file} is an SQLite database of another program; choose another file")
        if (version := self._pragma("user_version")) > VERSION:
            raise ValueError(f"{self.file} has format {version}, newer than {VERSION}; update kickbert to read it")

    def _pragma(self, name: str) -> Any:
        return self.select(f"PRAGMA {name}")[0][0]

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Replace SQLite's errors with ones that say what to do."""
        try:
            yield
        except sqlite3.DatabaseError as err:
            reason = str(err)
            if "locked" in reason or "busy" in reason:
                raise DatabaseLocked(
                    f"{self.file} has been locked by another program for {self._wait:g} s; close that program (a "
                    "backup or a database viewer) and try again"
                ) from err
            if isinstance(err, sqlite3.OperationalError):
                raise OSError(f"{self.file} cannot be read or written: {reason}") from err
            raise ValueError(
                f"{self.file} is not a database, or is damaged ({reason}); restore a backup, or recover what is "
                f'readable: sqlite3 {self.file.name} ".recover" | sqlite3 recovered.db'
            ) from err

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction: on disk at the end, rolled back after an error."""
        with self._lock, self._plain_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def select(self, sql: str, *values: Any) -> list[tuple]:
        """Return the rows of a query."""
        with self._lock, self._plain_errors():
            return self._connection.execute(sql, values).fetchall()

    def setting(self, name: str) -> Any:
        """Read a value that belongs to the whole file; None if it is not set."""
        stored = self.select("SELECT value FROM settings WHERE name = ?", name)
        return json.loads(stored[0][0]) if stored else None

    def set(self, name: str, value: Any) -> None:
        """Store a value that belongs to the whole file."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file, so that a copy of the file alone is complete."""
        self.select("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the file; its write-ahead log is moved into it."""
        with self._lock:
            self._connection.close()
