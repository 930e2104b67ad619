"""The classes of a label database: added, renamed and merged, while labels stay as they were given."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kickbert.labeling.database import Label, LabelDatabase
from kickbert.targets.kinds import MULTI
from kickbert.utils.messages import shorten

DELIMITER = "|"  # between the labels of a cell of a CSV file
LONGEST = 100  # characters of a name


@dataclass(frozen=True)
class LabelClass:
    """A class.

    Args:
        key: "1" to "9", which it is chosen by on the page; None past nine classes.
        description: a sentence for whoever labels, and for the zero-shot start.
        former: names whose labels count as this class: it was called so, or those classes were merged into it.
    """

    name: str
    key: str | None = None
    description: str | None = None
    former: tuple[str, ...] = ()


class ClassList:
    """The classes of a database.

    Args:
        database: that holds them; other processes may change them, so they are read anew each time.
    """

    def __init__(self, database: LabelDatabase):
        self.database = database

    def __call__(self) -> list[LabelClass]:
        """The classes in their order."""
        stored = self.database.select("SELECT name, key, description, merged_into FROM classes ORDER BY rowid")
        present = self.present_names()
        former = {name: [n for n, into in present.items() if into == name != n] for name, *_ in stored}
        return [LabelClass(name, key, text, tuple(former[name])) for name, key, text, into in stored if into is None]

    def present_names(self) -> dict[str, str]:
        """For each name that there ever was the name of the class that its labels count as now."""
        merged = dict(self.database.select("SELECT name, merged_into FROM classes"))
        names = {}
        for name in merged:
            last = name
            while merged[last] is not None:
                last = merged[last]
            names[name] = last
        return names

    def add(self, name: str, description: str | None = None) -> str:
        """Add a class, at the end; its name as it is kept.

        Raises:
            ValueError: a name that cannot be, or that is there already.
        """
        name = self._usable(name)
        with self.database.transaction() as db:
            used = {key for (key,) in db.execute("SELECT key FROM classes")}
            key = next((k for k in "123456789" if k not in used), None)
            db.execute("INSERT INTO classes(name, key, description) VALUES (?, ?, ?)", (name, key, description))
        return name

    def rename(self, name: str, new: str) -> str:
        """Give a class another name, or merge it into the class that has this name already; the name that counts now.

        Raises:
            ValueError: no such class, or a new name that cannot be.
        """
        self._check_there(name)
        if new.strip() in {c.name for c in self()}:
            return self._merge(name, new.strip())
        back = new.strip() if self.present_names().get(new.strip()) == name else None  # its own former name
        new = back or self._usable(new, name)
        with self.database.transaction() as db:
            db.execute("DELETE FROM classes WHERE name = ?", (back,))
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
        """Make a class of its own again of one that was merged: the labels that were given under its name.

        Raises:
            ValueError: it was not merged.
        """
        if self.present_names().get(name, name) == name:
            raise ValueError(f"{name!r} is merged into no class; merged are {self._merged()}")
        with self.database.transaction() as db:
            db.execute("UPDATE classes SET merged_into = NULL WHERE name = ?", (name,))

    def checked(self, label: str | list[str] | None) -> str | list[str] | None:
        """A label under the names that its classes have now: one name, of several labels a list in the classes' order.

        Raises:
            ValueError: a name that is no class.
        """
        if label is None:
            return None
        several = self.database.task == MULTI
        if isinstance(label, list) != several:
            raise ValueError(f"label={label!r} must be {'a list of names' if several else 'one name'}")
        now = resolve(label, self.present_names())  # a page may not know yet that a class was renamed
        for name in now if several else [now]:
            self._check_there(name)
        return [c.name for c in self() if c.name in now] if several else now

    def _check_there(self, name: str) -> None:
        names = [c.name for c in self()]
        if name not in names:
            raise ValueError(f"{name!r} is no class; classes are {names}")

    def _merged(self) -> list[str]:
        return [name for name, now in self.present_names().items() if name != now]

    def _usable(self, name: str, but: str | None = None) -> str:
        """A name as it can be kept: one line, not empty, not too long, unlike all others but one."""
        name = " ".join(name.split())
        if not name:
            raise ValueError("a class needs a name")
        if len(name) > LONGEST:
            raise ValueError(f"{shorten(name, 40)!r} has {len(name)} characters; a class may have {LONGEST}")
        if DELIMITER in name and self.database.task == MULTI:
            raise ValueError(f"{name!r} has a {DELIMITER!r}, which stands between labels in files; leave it out")
        for other, now in self.present_names().items():
            if other.casefold() == name.casefold() and other != but:
                named = f"is a name of {now!r} already" if now != other else "is there already"
                raise ValueError(f"{other!r} {named}; choose another name than {name!r}")
        return name


def resolve(label: str | list[str] | None, names: dict[str, str]) -> str | list[str] | None:
    """A label under the names that its classes have now, each once.

    Args:
        names: of `ClassList.present_names`.

    >>> resolve(["a", "b"], {"a": "b", "b": "b"})
    ['b']
    """
    if isinstance(label, list):
        return list(dict.fromkeys(names.get(name, name) for name in label))
    return label if label is None else names.get(label, label)


def add_classes(classes: ClassList, names: Iterable[str]) -> None:
    """Add those of the names that are not there yet."""
    known = classes.present_names()
    for name in names:
        if " ".join(name.split()) not in known:
            classes.add(name)


def present_labels(database: LabelDatabase, history: bool = False) -> list[Label]:
    """Labels under the names that classes have now, the earliest first, without skipped rows.

    Args:
        history: as for `LabelDatabase.labels`.
    """
    names, present = ClassList(database).present_names(), []
    for label in database.labels(history):
        if label.label is not None:
            suggestion = label.suggestion and label.suggestion | {"label": resolve(label.suggestion["label"], names)}
            present.append(replace(label, label=resolve(label.label, names), suggestion=suggestion))
    return present
