"""The classes of a label database: added, renamed and merged, while labels stay as they were entered."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kickbert.labeling.database import Label, LabelDatabase
from kickbert.targets.label_cells import DELIMITER
from kickbert.utils.messages import shorten

MAX_LENGTH = 100  # characters in a name


def one_line(name: str) -> str:
    """Put a name on one line: runs of white space count as one blank.

    >>> one_line(" film\\n news ")
    'film news'
    """
    return " ".join(name.split())


@dataclass(frozen=True)
class LabelClass:
    """A class."""

    name: str
    key: str | None = None  # on the page, "1" to "9"; None after nine classes
    description: str | None = None  # for annotators and the zero-shot start
    former: tuple[str, ...] = ()  # earlier names, and names of classes merged into it


class ClassList:
    """The classes of a database, read from it on each call because other processes may change them."""

    def __init__(self, database: LabelDatabase):
        self.database = database

    def __call__(self) -> list[LabelClass]:
        """Return the classes in their order."""
        stored = self.database.select("SELECT name, key, description, merged_into FROM classes ORDER BY rowid")
        current = self.current_names()
        former = {name: tuple(n for n, now in current.items() if now == name != n) for name, *_ in stored}
        return [LabelClass(name, key, text, former[name]) for name, key, text, into in stored if into is None]

    def names(self) -> list[str]:
        """Return the names of the classes in their order."""
        return [c.name for c in self()]

    def current_names(self) -> dict[str, str]:
        """Map every name that ever existed to the class that its labels count as now."""
        merged = dict(self.database.select("SELECT name, merged_into FROM classes"))
        current = {}
        for name in merged:
            last = name
            while merged[last] is not None:
                last = merged[last]
            current[name] = last
        return current

    def add(self, name: str, description: str | None = None) -> str:
        """Add a class at the end, and return its name as stored.

        Raises:
            ValueError: The name is not allowed or already exists.
        """
        name = self._check_new(name)
        with self.database.transaction() as db:
            used = {key for (key,) in db.execute("SELECT key FROM classes")}
            key = next((k for k in "123456789" if k not in used), None)
            db.execute("INSERT INTO classes(name, key, description) VALUES (?, ?, ?)", (name, key, description))
        return name

    def rename(self, name: str, new: str) -> str:
        """Rename a class, or merge it into the class that already has the new name; return the resulting name.

        Raises:
            ValueError: The class does not exist, or the new name is not allowed.
        """
        self._check_exists(name)
        new = one_line(new)
        if new in self.names():
            return self._merge(name, new)
        reused = new if self.current_names().get(new) == name else None  # a former name of the same class
        new = reused or self._check_new(new, name)
        with self.database.transaction() as db:
            db.execute("DELETE FROM classes WHERE name = ?", (reused,))
            db.execute("UPDATE classes SET name = ? WHERE name = ?", (new, name))
            db.execute("UPDATE classes SET merged_into = ? WHERE merged_into = ?", (new, name))
            db.execute("INSERT INTO classes(name, merged_into) VALUES (?, ?)", (name, new))
        return new

    def _merge(self, name: str, into: str) -> str:
        if name != into:
            with self.database.transaction() as db:
                db.execute("UPDATE classes SET merged_into = ?, key = NULL WHERE name = ?", (into, name))
        return into

    def split_off(self, name: str) -> None:
        """Make a merged class separate again, with the labels that were entered under its name.

        Raises:
            ValueError: It was not merged.
        """
        merged = [old for old, now in self.current_names().items() if old != now]
        if name not in merged:
            raise ValueError(f"{name!r} is not merged into another class. Merged classes: {merged}")
        with self.database.transaction() as db:
            db.execute("UPDATE classes SET merged_into = NULL WHERE name = ?", (name,))

    def checked(self, label: str | list[str] | None) -> str | list[str] | None:
        """Check a label, and return it under current class names; several labels in the order of the classes.

        Raises:
            ValueError: A name is not a class.
        """
        if label is None:
            return None
        multi = self.database.kind.is_multilabel
        if isinstance(label, list) != multi:
            raise ValueError(f"label={label!r} must be {'a list of names' if multi else 'one name'}")
        now = resolve(label, self.current_names())  # the page may not know yet that a class was renamed
        for name in now if isinstance(now, list) else [now]:
            self._check_exists(name)
        return [name for name in self.names() if name in now] if isinstance(now, list) else now

    def _check_exists(self, name: str | None) -> None:
        names = self.names()
        if name not in names:
            raise ValueError(f"{name!r} is not a class. Classes: {names}")

    def _check_new(self, name: str, renamed: str | None = None) -> str:
        """Check a new name and put it on one line; the renamed class may keep its own name in another spelling."""
        name = one_line(name)
        if not name:
            raise ValueError("a class needs a name")
        if len(name) > MAX_LENGTH:
            raise ValueError(f"{shorten(name, 40)!r} has {len(name)} characters; the limit is {MAX_LENGTH}")
        if DELIMITER in name and self.database.kind.is_multilabel:
            raise ValueError(f"{name!r} contains {DELIMITER!r}, which separates labels in files; remove it")
        for other, now in self.current_names().items():
            if other.casefold() == name.casefold() and other != renamed:
                used = f"is already a name of {now!r}" if now != other else "already exists"
                raise ValueError(f"{other!r} {used}; choose a name other than {name!r}")
        return name


def resolve(label: str | list[str] | None, names: dict[str, str]) -> str | list[str] | None:
    """Translate a label to current class names, each once.

    Args:
        label: A name, a list of names, or None.
        names: Mapping from `ClassList.current_names`.

    >>> resolve(["a", "b"], {"a": "b", "b": "b"})
    ['b']
    """
    if isinstance(label, list):
        return list(dict.fromkeys(names.get(name, name) for name in label))
    return label if label is None else names.get(label, label)


def add_classes(classes: ClassList, names: Iterable[str]) -> None:
    """Add the names that do not exist yet."""
    known = classes.current_names()
    for name in names:
        if one_line(name) not in known:
            classes.add(name)


def current_labels(database: LabelDatabase, history: bool = False) -> list[Label]:
    """Return labels under current class names, the earliest first, without skipped rows.

    Args:
        database: The database.
        history: As for `LabelDatabase.labels`.
    """
    names = ClassList(database).current_names()
    labels = []
    for label in database.labels(history):
        if label.label is not None:
            suggestion = label.suggestion and label.suggestion | {"label": resolve(label.suggestion["label"], names)}
            labels.append(replace(label, label=resolve(label.label, names), suggestion=suggestion))
    return labels
