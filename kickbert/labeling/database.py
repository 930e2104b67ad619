"""Texts and labels in one file: what was labelled, by whom, when, and what the model suggested then.

Labels are appended and never rewritten: the present label of a row is its last one that is not undone.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kickbert.labeling.sqlite_file import WAIT, SqliteFile
from kickbert.targets.kinds import MULTI, ORDINAL, SINGLE
from kickbert.utils.hashing import digest

APPLICATION, VERSION = 0x6B627274, 1  # "kbrt", and the version of the schema
LEASE = 600.0  # seconds for which a text is one browser's
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
PRESENT = f"SELECT {FIELDS} FROM labels WHERE id IN (SELECT MAX(id) FROM labels WHERE undone = 0 GROUP BY row)"


@dataclass(frozen=True)
class Row:
    """A text to label.

    Args:
        id: in the database.
        key: hash of its texts.
        position: in the table that it was last read from; None if it is not there any more.
        texts: of each text column.
    """

    id: int
    key: str
    position: int | None
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Label:
    """What somebody made of a row.

    Args:
        id: the larger, the later.
        label: name of a class as it was then, or a list of names; None for a row that was skipped.
        at: UTC, ISO 8601.
        seconds: from the text on the screen to the key.
        suggestion: the model's, as it was then: `label` and `confidence`.
        shown: whether it could be seen.
        strategy: that chose the text.
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


@dataclass(frozen=True)
class Lease:
    """A text that is one browser's for a while; fields as in `Label`."""

    row: int
    strategy: str | None = None
    suggestion: dict[str, Any] | None = None
    shown: bool = False


@dataclass(frozen=True)
class RowChanges:
    """What became of the rows of a table, in numbers.

    Args:
        new, found: not seen before; found again by their content.
        gone, labelled: in the database and not in the table any more; how many of these have a label.
        repeated, empty: left out: their text stands in an earlier row; they have none.
    """

    new: int
    found: int
    gone: int
    labelled: int
    repeated: int
    empty: int

    def described(self, table: str, file: Path) -> list[str]:
        """It in sentences; `table` and `file` are what the table and the database are called."""
        lines = [f"{table}: {self.new:,} new texts, {self.found:,} that {file} has already"]
        if self.gone:
            lines.append(
                f"{self.gone:,} texts of {file} are not in {table} any more and are not asked; {self.labelled:,} of "
                "them are labelled, and keep their labels"
            )
        left_out = ((self.repeated, "repeat an earlier row's text"), (self.empty, "have no text"))
        return lines + [f"{count:,} rows {reason} and are left out" for count, reason in left_out if count]


def content_key(texts: Sequence[str]) -> str:
    """A hash of the texts of a row, 32 hex digits; white space counts as one blank, since editors change it.

    >>> content_key(["a  lamp\\n"]) == content_key(["a lamp"])
    True
    >>> content_key(["a lamp"]) == content_key(["a", "lamp"])
    False
    """
    return digest(json.dumps([" ".join(text.split()) for text in texts]))


class LabelDatabase(SqliteFile):
    """A file of texts, classes and labels.

    Args:
        file: made if it is not there and `text_col` is given.
        text_col: names of the text columns; None for those of the file.
        task: "single label", "multi-label" or "ordinal"; None for that of the file, or a single label.
        wait: seconds to wait for another process that is writing.
    Raises:
        ValueError: no such file, one that is no label database or is damaged, other columns, another task.
        DatabaseLocked: another program keeps it to itself.
    """

    def __init__(
        self, file: str | Path, text_col: Sequence[str] | None = None, task: str | None = None, wait: float = WAIT
    ):
        if text_col is None and not Path(file).exists():
            raise ValueError(f"{file} is not there; make it: kickbert label rows.csv --out {file}")
        if task not in (None, SINGLE, MULTI, ORDINAL):
            raise ValueError(f"task={task!r} cannot be labelled; choose one of {[SINGLE, MULTI, ORDINAL]}")
        settings = {"text_col": list(text_col or []), "task": task or SINGLE}
        super().__init__(Path(file), SCHEMA, APPLICATION, VERSION, settings, wait)
        self.text_col: list[str] = self.setting("text_col")
        self.task: str = self.setting("task")
        for name, asked in (("text_col", text_col and list(text_col)), ("task", task)):
            if asked is not None and asked != (kept := getattr(self, name)):
                self.close()
                raise ValueError(f"{file} was made with {name}={kept!r}, not {asked!r}; give another file for that")

    def add_rows(self, texts: Sequence[Sequence[str]]) -> RowChanges:
        """Add the rows of a table, or find them again by their content after it was sorted, cut or has grown.

        Args:
            texts: of each row the texts of its columns.
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
        gone, new = [labelled for key, labelled in before.items() if key not in rows], len(rows.keys() - before.keys())
        repeated, empty = len(filled) - len(rows), len(texts) - len(filled)
        return RowChanges(new, len(rows) - new, len(gone), sum(gone), repeated, empty)

    def rows(self) -> list[Row]:
        """All rows, by their keys: an order that has nothing to do with their content, and does not change."""
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
        request: str | None = None,
    ) -> int:
        """Add a label; it is on disk when this returns.

        With it is kept what the row's lease says of strategy and suggestion, or else the label before; the lease ends.

        Args:
            label: name of a class, or of several; None to skip the row.
            request: a name of this call: where an answer was lost, a second call of the same name adds nothing.
        Returns:
            Its id.
        """
        with self.transaction() as db:
            known = db.execute("SELECT id FROM labels WHERE request = ?", (request,)).fetchone()
            if known:
                return known[0]
            chosen = db.execute(
                "SELECT strategy, suggestion, shown FROM (SELECT 0 AS place, * FROM leases WHERE row = ?1 UNION ALL "
                "SELECT id, row, who, at, strategy, suggestion, shown FROM labels WHERE row = ?1 AND undone = 0) "
                "ORDER BY place LIMIT 1",
                (row,),
            ).fetchone()
            values = (row, _json(label), who, _time(), seconds, *(chosen or (None, None, 0)), note, request)
            added = db.execute(
                "INSERT INTO labels(row, label, who, at, seconds, strategy, suggestion, shown, note, request) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            db.execute("DELETE FROM leases WHERE row = ?", (row,))
            return added.lastrowid

    def append_known(self, labels: dict[int, str | list[str]], who: str, strategy: str) -> int:
        """Add labels that a table came with, of rows without one; how many that were."""
        known = {label.row for label in self.labels()}
        values = [(row, _json(label), who, _time(), strategy) for row, label in labels.items() if row not in known]
        with self.transaction() as db:
            add = "INSERT INTO labels(row, label, who, at, strategy, shown) VALUES (?, ?, ?, ?, ?, 0)"
            db.executemany(add, values)
        return len(values)

    def undo(self, who: str) -> Label | None:
        """Mark the last label of a person as undone, and give it back; None where there is none."""
        with self.transaction() as db:
            last = f"SELECT {FIELDS} FROM labels WHERE undone = 0 AND who = ? ORDER BY id DESC LIMIT 1"
            stored = db.execute(last, (who,)).fetchone()
            if stored:
                db.execute("UPDATE labels SET undone = 1 WHERE id = ?", stored[:1])
        return _label(stored) if stored else None

    def before(self, who: str, label: int | None = None) -> Label | None:
        """The present label that a person gave before the one of an id, or last of all; None where there is none."""
        query = f"{PRESENT} AND who = ? AND id < ? ORDER BY id DESC LIMIT 1"
        stored = self.select(query, who, 2**62 if label is None else label)
        return _label(stored[0]) if stored else None

    def labels(self, history: bool = False) -> list[Label]:
        """The present label of each row that has one, skipped rows too; or all labels that are not undone."""
        query = f"SELECT {FIELDS} FROM labels WHERE undone = 0 ORDER BY id" if history else f"{PRESENT} ORDER BY id"
        return [_label(stored) for stored in self.select(query)]

    def labelled(self) -> int:
        """How many rows have a label; skipped ones have none."""
        return self.select("SELECT COUNT(DISTINCT row) FROM labels WHERE undone = 0 AND label NOTNULL")[0][0]

    def lease(self, lease: Lease, who: str, seconds: float = LEASE) -> bool:
        """Keep a text for a browser; False where it has a label, or is another's."""
        with self.transaction() as db:
            taken = db.execute(
                "SELECT EXISTS(SELECT 1 FROM labels WHERE row = ?1 AND undone = 0) OR EXISTS("
                "SELECT 1 FROM leases WHERE row = ?1 AND who != ?2 AND until > ?3)",
                (lease.row, who, _time()),
            ).fetchone()[0]
            if not taken:
                values = (lease.row, who, _time(seconds), lease.strategy, _json(lease.suggestion), lease.shown)
                db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?)", values)
        return not taken

    def leased(self, who: str, seconds: float = LEASE) -> list[Lease]:
        """The texts that are a browser's, which keeps them as long again."""
        with self.transaction() as db:
            db.execute("DELETE FROM leases WHERE until <= ?", (_time(),))
            db.execute("UPDATE leases SET until = ? WHERE who = ?", (_time(seconds), who))
            stored = db.execute("SELECT row, strategy, suggestion, shown FROM leases WHERE who = ?", (who,)).fetchall()
        return [Lease(row, strategy, _value(suggestion), bool(shown)) for row, strategy, suggestion, shown in stored]


def _time(later: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=later)).isoformat(timespec="milliseconds")


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _label(stored: Iterable[Any]) -> Label:
    id, row, label, who, at, seconds, suggestion, shown, note, strategy = stored
    return Label(id, row, _value(label), who, at, seconds, _value(suggestion), bool(shown), note, strategy)
