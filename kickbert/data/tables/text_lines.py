"""Lines of a text file, numbered, without NUL characters."""

from collections.abc import Callable, Iterable, Iterator

from kickbert.utils.messages import listed

SHOWN = 5  # lines that a note names
Skip = Callable[[int, int, str, str], None]  # a row that cannot be read: its first and last line, its text, the reason


class TextLines:
    """Iterate over lines, and remember what messages need.

    Args:
        file: the lines, with their ends.
    Attributes:
        number: number of the line read last, from 1.
        first: the first line read since `begin`.
        with_nul: numbers of the lines from which NUL characters were removed.

    >>> lines = TextLines(["a\\0b"])
    >>> next(lines), lines.number, lines.with_nul
    ('ab', 1, [1])
    """

    def __init__(self, file: Iterable[str]):
        self._file = iter(file)
        self.number = 0
        self.first = ""
        self.with_nul: list[int] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self.number += 1
        if "\0" in line:
            self.with_nul.append(self.number)
            line = line.replace("\0", "")
        self.first = self.first or line
        return line

    def begin(self) -> int:
        """Start a row, and return the number of its first line."""
        self.first = ""
        return self.number + 1


def span(first: int, last: int) -> str:
    """Name the lines from the first to the last.

    >>> span(7, 7), span(1000, 1001)
    ('line 7', 'lines 1,000 to 1,001')
    """
    return f"line {first:,}" if first >= last else f"lines {first:,} to {last:,}"


def named_lines(lines: list[int]) -> str:
    """Name the first lines, and count the others.

    >>> named_lines([7]), named_lines([1, 2, 3, 4, 5, 6])
    ('line 7', 'lines 1, 2, 3, 4, 5 and 1 more')
    """
    return f"line{'s' if lines[1:] else ''} {listed(lines, SHOWN)}"
