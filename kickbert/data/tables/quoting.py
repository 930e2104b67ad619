"""How a CSV file writes a quote within a quoted cell: twice, or with a backslash before it, as Spark and MySQL do."""

import csv
import re
from collections.abc import Iterable, Iterator

LINES = 2  # minimum lines within a cell that look like rows
_ESCAPED = re.compile(r"\\([\\\"])")


def csv_reader(lines: Iterable[str], sep: str, escaped: bool) -> Iterator[list[str]]:
    """Make a strict `csv.reader`, which numbers the lines that it has read as `line_num`.

    Args:
        lines: the lines of the file, with their ends.
        sep: separator.
        escaped: whether quotes within cells are escaped with a backslash.
    """
    return csv.reader(map(_doubled, lines) if escaped else lines, delimiter=sep, strict=True)


def _doubled(line: str) -> str:
    """Write escaped quotes twice and escaped backslashes once; a backslash before anything else stays."""
    return _ESCAPED.sub(lambda match: '""' if match[1] == '"' else match[1], line)


def fit_of(lines: Iterable[str], sep: str, escaped: bool) -> int:
    """Count the rows with as many cells as the header, less those with others or that cannot be read.

    >>> [fit_of(['text,label\\n', '"say \\\\"hi\\\\"",x\\n'], ",", escaped) for escaped in (False, True)]
    [0, 2]
    >>> [fit_of(['folder,label\\n', '"C:\\\\",x\\n'], ",", escaped) for escaped in (False, True)]
    [2, 0]
    >>> [fit_of(['text\\n', '"\\\\"\\n', '\\n', '"\\\\"\\n'], ",", escaped) for escaped in (False, True)]
    [4, 2]
    """
    reader = csv_reader(lines, sep, escaped)
    width = None
    fit = 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error:  # the reader continues at the next line
            fit -= 1
            continue
        if cells is None:
            return fit
        width = width or len(cells)
        if cells or width == 1:  # an empty line is a missing cell of one column, and nothing in others
            fit += 1 if max(1, len(cells)) == width else -1


def hides_rows(cells: list[str], sep: str) -> bool:
    """Whether a row contains lines that look like rows: a quote in them was read as the start of a long cell.

    >>> hides_rows(["1", 'a screen of 5,bad\\n2,plain,good\\n3,other,good\\n4,"x', "bad"], ",")
    True
    >>> hides_rows(["1", "two\\nlines, or more", "bad"], ",")
    False
    """
    inner = [line for cell in cells for line in cell.split("\n")[1:-1]]
    return len(inner) >= LINES and all(line.count(sep) == len(cells) - 1 for line in inner)
