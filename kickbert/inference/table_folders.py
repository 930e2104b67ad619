"""A table in a folder of Parquet files: its files, the columns that they have between them, what they hold."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kickbert.data.tables.reading import TableFile
from kickbert.inference.partitions import Partition
from kickbert.utils.extras import require
from kickbert.utils.hardware import cores
from kickbert.utils.hashing import file_digest
from kickbert.utils.messages import nearest

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 3  # files that a note names


@dataclass(frozen=True)
class TablePart:
    """A Parquet file of a table.

    Args:
        name: its path from the table's folder.
        rows: their number.
        schema: of pyarrow.
        stamp: size in bytes and time of change in ns.
    """

    name: str
    rows: int
    schema: "pa.Schema"
    stamp: tuple[int, int]


class TableFolder:
    """A table in Parquet files; names that begin with "_" or "." are no part of it, as for pyarrow and Spark.

    Args:
        source: a folder, whose folders are looked into too, or one file.
    Attributes:
        parts: its files in the order of their paths.
        notes: what a user must know, a sentence each.
    Raises:
        ValueError: nothing there, no Parquet files or rows in it, or a file that cannot be read.
    """

    def __init__(self, source: str | Path):
        require("pyarrow", extra="export")
        source = Path(source)
        if not source.exists():
            raise ValueError(f"{source} is no folder or file here")
        self.folder = source if source.is_dir() else source.parent
        paths = [source] if source.is_file() else [p for p in sorted(source.rglob("*")) if self._belongs(p)]
        others = [self._name(p) for p in paths if p.suffix != ".parquet"]
        self.parts = [self._part(p) for p in paths if p.suffix == ".parquet"]
        if not self.parts:
            raise ValueError(f"{source} has no files that end in .parquet; it has {others[:SHOWN] or 'none at all'}")
        if not any(part.rows for part in self.parts):
            raise ValueError(f"{source} has no rows")
        self.notes = [f"files that are not .parquet were left out: {_named(others)}"] if others else []

    def _belongs(self, path: Path) -> bool:
        return path.is_file() and not any(name[0] in "._" for name in path.relative_to(self.folder).parts)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _part(self, path: Path) -> TablePart:
        stat, file = path.stat(), TableFile(path)
        twice = [name for name in file.schema.names if file.schema.names.count(name) > 1]
        if twice:
            raise ValueError(f"{path} has several columns {twice[0]!r}; give each a name of its own")
        return TablePart(self._name(path), file.rows, file.schema, (stat.st_size, stat.st_mtime_ns))

    @property
    def rows(self) -> int:
        """The number of rows of all files."""
        return sum(part.rows for part in self.parts)

    @property
    def names(self) -> list[str]:
        """The columns that any file has."""
        return list(dict.fromkeys(name for part in self.parts for name in part.schema.names))

    def check_texts(self, columns: Sequence[str]) -> None:
        """Check that every file with rows has the text columns; what is no text in them is noted.

        Raises:
            ValueError: one has not.
        """
        import pyarrow as pa

        for part in self.parts:
            for name in columns:
                if part.rows and name not in part.schema.names:
                    hint = nearest(name, part.schema.names)
                    raise ValueError(f"{part.name} has no column {name!r}; it has {part.schema.names}{hint}")
        texts = (pa.string(), pa.large_string(), pa.string_view(), pa.null())
        others = [f"{name!r} is {kind} in {file}" for name in columns
                  for kind, file in self.types(name).items() if kind not in texts]  # fmt: skip
        if others:
            self.notes.append(f"text column {', '.join(others)}; its cells are read as str() writes them")

    def schema(self, columns: Sequence[str]) -> "pa.Schema":
        """The types that columns have in the whole table, the widest of their files; what differs is noted.

        Raises:
            ValueError: a column that no file has, or one of types that do not go together.
        """
        import pyarrow as pa

        return pa.schema([self._column(name) for name in columns])

    def types(self, name: str) -> dict["pa.DataType", str]:
        """The types of a column, each with the first file that has it."""
        types: dict[Any, str] = {}
        for part in self.parts:
            if name in part.schema.names:
                types.setdefault(_plain(part.schema.field(name).type), part.name)
        return types

    def _column(self, name: str) -> "pa.Field":
        import pyarrow as pa

        types = self.types(name)
        if not types:
            raise ValueError(f"no file has a column {name!r}; they have {self.names}{nearest(name, self.names)}")
        try:
            one = [pa.schema([pa.field(name, kind)]) for kind in types]
            column = pa.unify_schemas(one, promote_options="permissive").field(name)
        except (pa.ArrowTypeError, pa.ArrowInvalid) as err:
            listed = " and ".join(f"{kind} in {file}" for kind, file in types.items())
            raise ValueError(
                f"column {name!r} is {listed}; write these files with one type, or leave the column out (keep=, --keep)"
            ) from err
        if len(types) > 1:
            listed = ", ".join(f"{kind} in {file}" for kind, file in types.items())
            self.notes.append(f"column {name!r} is {listed}; it is written as {column.type}")
        without = [part.name for part in self.parts if name not in part.schema.names]
        if without:
            self.notes.append(f"column {name!r} is missing, and its cells are written as missing, in {_named(without)}")
        return column

    def digests(self) -> dict[str, str]:
        """sha256 of each file, by name."""
        with ThreadPoolExecutor(cores()) as pool:
            found = pool.map(file_digest, [self.folder / part.name for part in self.parts])
            return dict(zip([part.name for part in self.parts], found, strict=True))

    def partitions(self, rows: int) -> list[Partition]:
        """Spans of at most so many rows, each of one file."""
        return [
            Partition(part.name, start, min(start + rows, part.rows), part.stamp)
            for part in self.parts
            for start in range(0, part.rows, rows)
        ]


def _plain(kind: "pa.DataType") -> "pa.DataType":
    """A type without its dictionary, which each file has of its own."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _named(files: Sequence[str]) -> str:
    """
    >>> _named(["a.csv", "b", "c", "d"])
    'a.csv, b, c and 1 more'
    """
    return ", ".join(files[:SHOWN]) + (f" and {len(files) - SHOWN:,} more" if len(files) > SHOWN else "")
