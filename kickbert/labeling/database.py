"""Texts and labels in one file: each label, with the person, the time, and the model's suggestion at that time.

Labels are appended, never rewritten: the current label of a row is its last one that is not undone.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kickbert.labeling.sqlite_file import WAIT, SqliteFile
from kickbert.targets.kinds import target_class
from kickbert.targets.labels import Labels, OrderedLabels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.utils.hashing import digest

LEASE = 600.0  # seconds for which a text is reserved for one browser
TASKS = [Labels.task, MultiLabels.task, OrderedLabels.task]
SCHEMA = """
CREATE TABLE rows(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, position INTEGER, texts TEXT NOT NULL);
CREATE TABLE labels(id INTEGER PRIMARY KEY, row INTEGER NOT NULL, label TEXT, who TEXT NOT NULL, at TEXT NOT NULL,
    seconds REAL, suggestion TEXT, shown INTEGER NOT NULL, note TEXT, undone INTEGER NOT NULL DEFAULT 0, strategy TEXT,
    request TEXT UNIQUE);
CREATE INDEX labels_of_row ON labels(row);
CREATE TABLE classes(name TEXT PRIMARY KEY, key TEXT, description TEXT, merged_into TEXT);
CREATE TABLE leases(row INTEGER PRIMARY KEY, who TEXT NOT NULL, until TEXT NOT NULL, strategy TEXT, suggestion TEXT,
    shown INTEGER NOT NULL)
"""
FIELDS = "id, row, label, who, at, seconds, suggestion, shown, note, strategy"
CURRENT = f"SELECT {FIELDS} FROM labels WHERE id IN (SELECT MAX(id) FROM labels WHERE undone = 0 GROUP BY row)"


@dataclass(frozen=True)
class Row:
    """A text to label."""

    id: int
    key: str  # hash of its texts
    position: int | None  # in the table that was read last; None if it is no longer there
    texts: tuple[str, ...]  # one per text column


@dataclass(frozen=True)
class Label:
    """A person's label of a row.

    Args:
        id: Number; later labels have larger ones.
        row: Id of the row.
        label: Class name at that time, or a list of names; None if the row was skipped.
        who: Name of the person.
        at: UTC time, ISO 8601.
        seconds: Time from the text on the screen to the key press.
        suggestion: The model's `label` and `confidence` at that time.
        shown: Whether the person saw the suggestion.
        note: The person's note.
        strategy: The strategy that chose the text.
    """

    id: int
    row: int
    label: str | list[str] | None
    who: str
    at: str
    seconds: float | None
    suggestion: dict[str, Any] | None
    shown: bool
    note: str | None
    strategy: str | None

    @property
    def names(self) -> list[str]:
        """The class names in the label; none if the row was skipped."""
        return [self.label] if isinstance(self.label, str) else list(self.label or [])


@dataclass(frozen=True)
class Lease:
    """A text that is reserved for one browser for a while; `shown` says whether it may show the suggestion."""

    row: int
    strategy: str | None = None
    suggestion: dict[str, Any] | None = None
    shown: bool = False


@dataclass(frozen=True)
class RowChanges:
    """Numbers of rows after a table was read."""

    new: int  # not seen before
    known: int  # recognized by their content
    gone: int  # in the database, but no longer in the table
    gone_labeled: int  # those of them with a label
    repeated: int  # left out: an earlier row has the same text
    empty: int  # left out: no text

    def described(self, table: str, file: Path) -> list[str]:
        """Describe the changes in sentences, given the names of the table and the database."""
        lines = [f"{table}: {self.new:,} new, {self.known:,} already in {file}"]
        if self.gone:
            lines.append(f"{self.gone:,} no longer in {table}, so not asked ({self.gone_labeled:,} keep their labels)")
        if self.repeated:
            lines.append(f"{self.repeated:,} left out: same text as an earlier row")
        if self.empty:
            lines.append(f"{self.empty:,} left out: no text")
        return lines


def content_key(texts: Sequence[str]) -> str:
    """Hash the texts of a row to 32 hex digits. Runs of white space count as one blank, because editors change them.

    >>> content_key(["a  lamp\\n"]) == content_key(["a lamp"])
    True
    >>> content_key(["a lamp"]) == content_key(["a", "lamp"])
    False
    """
    return digest(json.dumps([" ".join(text.split()) for text in texts]))


class LabelDatabase(SqliteFile):
    """A file of texts, classes and labels.

    Args:
        file: Path; created if it does not exist and `text_col` is given.
        text_col: Names of the text columns; None for those of the file.
        task: "single label", "multi-label" or "ordinal"; None for that of the file, or "single label" in a new one.
        wait: Seconds to wait for another process that is writing.
    Raises:
        ValueError: The file does not exist, is not a label database, or has other columns or another task.
        DatabaseLocked: Another program has locked the file.
    """

    def __init__(
        self, file: str | Path, text_col: Sequence[str] | None = None, task: str | None = None, wait: float = WAIT
    ):
        if text_col is None and not Path(file).expanduser().exists():
            raise ValueError(f"File not found: {file}. Create it: kickbert label rows.csv --out {file}")
        if task is not None and (task := target_class(task).task) not in TASKS:
            raise ValueError(f"task={task!r} cannot be labeled; choose one of {TASKS}")
        super().__init__(
            Path(file).expanduser(), SCHEMA, {"text_col": list(text_col or []), "task": task or Labels.task}, wait
        )
        self.text_col: list[str] = self.setting("text_col")
        self.task: str = self.setting("task")
        self.kind = target_class(self.task)
        self._check_setting("text_col", self.text_col, text_col and list(text_col))
        self._check_setting("task", self.task, task)

    def _check_setting(self, name: str, stored: Any, wanted: Any) -> None:
        if wanted is not None and wanted != stored:
            self.close()
            raise ValueError(f"{self.file} was created with {name}={stored!r}, not {wanted!r}; choose another file")

    def add_rows(self, texts: Sequence[Sequence[str]]) -> RowChanges:
        """Add the rows of a table. Rows of a table that was sorted, cut or extended are recognized by their content.

        Args:
            texts: The texts of each row, one per text column.
        """
        before = dict(self.select("SELECT key, id IN (SELECT row FROM labels WHERE undone = 0) FROM rows"))
        filled = [(i, row) for i, row in enumerate(texts) if any(text.strip() for text in row)]
        rows: dict[str, tuple[str, int, str]] = {}
        for i, row in filled:
            key = content_key(row)
            rows.setdefault(key, (key, i, json.dumps(list(row))))
        add = "INSERT INTO rows(key, position, texts) VALUES (?, ?, ?) ON CONFLICT(key) DO UPDATE SET position = ?2"
        with self.transaction() as db:
            db.execute("UPDATE rows SET position = NULL")
            db.executemany(add, rows.values())
        new = len(rows.keys() - before.keys())
        gone = [labeled for key, labeled in before.items() if key not in rows]
        return RowChanges(
            new=new,
            known=len(rows) - new,
            gone=len(gone),
            gone_labeled=sum(gone),
            repeated=len(filled) - len(rows),
            empty=len(texts) - len(filled),
        )

    def rows(self) -> list[Row]:
        """Return all rows in the order of their keys, which is fixed and independent of their content."""
        stored = self.select("SELECT id, key, position, texts FROM rows ORDER BY key")
        return [Row(id, key, position, tuple(json.loads(texts))) for id, key, position, texts in stored]

    def append(
        self,
        row: int,
        label: str | list[str] | None,
        who: str,
        *,
        seconds: float | None = None,
        note: str | None = None,
        shown: bool = False,
        request: str | None = None,
    ) -> int:
        """Add a label, which is on disk when this returns, and end the row's lease.

        Strategy and suggestion come from the lease, or from the row's earlier label. A suggestion that was shown with
        an earlier label of the row, undone or not, counts as shown.

        Args:
            row: Id of the row.
            label: Class name, or a list of names; None to skip the row.
            who: Name of the person.
            seconds: Time from the text on the screen to the key press.
            note: The person's note; "" for none, None to keep the note of the row's last label.
            shown: Whether the page showed the suggestion.
            request: Unique name of this call, so that a repeated call adds nothing.
        Returns:
            Id of the label.
        """
        with self.transaction() as db:
            known = db.execute("SELECT id FROM labels WHERE request = ?", (request,)).fetchone()
            if known:
                return known[0]
            strategy, suggestion, seen, last_note = _known(db, row)
            added = db.execute(
                "INSERT INTO labels(row, label, who, at, seconds, strategy, suggestion, shown, note, request) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    row, _json(label), who, _time(), seconds, strategy, suggestion,
                    suggestion is not None and (shown or seen), (last_note if note is None else note) or None, request,
                ),
            )  # fmt: skip
            db.execute("DELETE FROM leases WHERE row = ?", (row,))
            assert added.lastrowid is not None
            return added.lastrowid

    def append_known(self, labels: dict[int, str | list[str]], who: str, strategy: str) -> int:
        """Add labels that came with a table to rows that have none; return their number."""
        labeled = {label.row for label in self.labels()}
        values = [(row, _json(label), who, _time(), strategy) for row, label in labels.items() if row not in labeled]
        with self.transaction() as db:
            add = "INSERT INTO labels(row, label, who, at, strategy, shown) VALUES (?, ?, ?, ?, ?, 0)"
            db.executemany(add, values)
        return len(values)

    def undo(self, who: str) -> Label | None:
        """Mark a person's last label as undone and return it; None if there is none."""
        with self.transaction() as db:
            last = f"SELECT {FIELDS} FROM labels WHERE undone = 0 AND who = ? ORDER BY id DESC LIMIT 1"
            stored = db.execute(last, (who,)).fetchone()
            if stored:
                db.execute("UPDATE labels SET undone = 1 WHERE id = ?", stored[:1])
        return _label(stored) if stored else None

    def previous(self, who: str, label: int | None = None) -> Label | None:
        """Return a person's current label before the one with an id, or the last one; None if there is none."""
        query = f"{CURRENT} AND who = ? AND id < ? ORDER BY id DESC LIMIT 1"
        stored = self.select(query, who, 2**62 if label is None else label)
        return _label(stored[0]) if stored else None

    def labels(self, history: bool = False) -> list[Label]:
        """Return the current label of each labeled or skipped row; with `history`, every label not undone."""
        query = f"SELECT {FIELDS} FROM labels WHERE undone = 0 ORDER BY id" if history else f"{CURRENT} ORDER BY id"
        return [_label(stored) for stored in self.select(query)]

    def count_labeled(self) -> int:
        """Count the rows with a label; skipped rows do not count."""
        return self.select("SELECT COUNT(DISTINCT row) FROM labels WHERE undone = 0 AND label NOTNULL")[0][0]

    def lease(self, lease: Lease, browser: str, seconds: float = LEASE) -> bool:
        """Reserve a text for a browser; False if it is labeled or reserved for another browser."""
        with self.transaction() as db:
            (taken,) = db.execute(
                "SELECT EXISTS(SELECT 1 FROM labels WHERE row = ?1 AND undone = 0) OR EXISTS("
                "SELECT 1 FROM leases WHERE row = ?1 AND who != ?2 AND until > ?3)",
                (lease.row, browser, _time()),
            ).fetchone()
            if not taken:
                values = (lease.row, browser, _time(seconds), lease.strategy, _json(lease.suggestion), lease.shown)
                db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?)", values)
        return not taken

    def leased(self, browser: str, seconds: float = LEASE) -> list[Lease]:
        """Return the texts reserved for a browser, and extend their leases."""
        with self.transaction() as db:
            db.execute("DELETE FROM leases WHERE until <= ?", (_time(),))
            db.execute("UPDATE leases SET until = ? WHERE who = ?", (_time(seconds), browser))
            query = "SELECT row, strategy, suggestion, shown FROM leases WHERE who = ?"
            stored = db.execute(query, (browser,)).fetchall()
        return [Lease(row, strategy, _value(suggestion), bool(shown)) for row, strategy, suggestion, shown in stored]


def _known(db: sqlite3.Connection, row: int) -> tuple[str | None, str | None, bool, str | None]:
    """Return strategy and suggestion of a row, whether the suggestion was shown before, and the row's note."""
    lease = db.execute("SELECT strategy, suggestion FROM leases WHERE row = ?", (row,)).fetchone()
    labels = db.execute(
        "SELECT strategy, suggestion, note FROM labels WHERE row = ? AND undone = 0 ORDER BY id", (row,)
    )
    earlier = labels.fetchall()
    strategy, suggestion = lease or (earlier[0][:2] if earlier else (None, None))
    seen = "SELECT EXISTS(SELECT 1 FROM labels WHERE row = ? AND suggestion = ? AND shown)"
    return (
        strategy,
        suggestion,
        bool(db.execute(seen, (row, suggestion)).fetchone()[0]),
        earlier[-1][2] if earlier else None,
    )


def _time(later: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=later)).isoformat(timespec="milliseconds")


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _label(stored: tuple) -> Label:
    id, row, label, who, at, seconds, suggestion, shown, note, strategy = stored
    return Label(id, row, _value(label), who, at, seconds, _value(suggestion), bool(shown), note, strategy)
