"""Rows of a CSV file: those with as many cells as the header; others are skipped and named."""

import csv
from collections.abc import Iterator

from kickbert.data.tables.quoting import csv_reader, hides_rows
from kickbert.data.tables.text_lines import SHOWN, Skip, TextLines, named_lines, span
from kickbert.utils.messages import listed

MAX_CELL = 2**31 - 1  # characters; the csv module's default is 131,072


class CsvRows:
    """Iterate over the rows below the header.

    Args:
        lines: the lines of the file, from the header on.
        sep: separator.
        escaped: whether quotes within cells are escaped with a backslash.
        skip: called with the first and last line number of a row that cannot be read, its first line, and the reason.
    Attributes:
        header: the cells of the header.
    Raises:
        ValueError: there is no header.
    """

    def __init__(self, lines: TextLines, sep: str, escaped: bool, skip: Skip):
        csv.field_size_limit(MAX_CELL)
        self._lines = lines
        self._sep = sep
        self._skip = skip
        self._reader = csv_reader(lines, sep, escaped)
        self.header = next((cells for cells in self._reader if cells), [])
        if not self.header:
            raise ValueError("it is empty")
        self._short: list[int] = []
        self._repeated: list[int] = []
        self._hiding: list[str] = []

    def __iter__(self) -> Iterator[list[str]]:
        width = len(self.header)
        named = max(i for i, name in enumerate(self.header, 1) if name or i == 1)
        for first, cells in self._records():
            if any(cells[width:]) or (width == 1 < len(cells)):  # a comma at the end may belong to the only cell
                self._leave_out(first, f"{len(cells)} cells where the header has {width}")
            elif cells == self.header and width > 1:
                self._repeated.append(first)
            elif cells or width == 1:  # an empty line is a missing cell of one column, as pyarrow and polars write it
                if hides_rows(cells, self._sep):
                    self._hiding.append(span(first, self._lines.number))
                self._short += [first] if 0 < len(cells) < named else []
                yield cells[:width] + [""] * (width - len(cells))

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """The number of the first line of each record, and its cells."""
        while True:
            first = self._lines.begin()
            try:
                cells = next(self._reader, None)
            except csv.Error as err:  # the reader continues at the next line
                self._leave_out(first, f"a quote is not closed at the end of the cell ({err})")
                continue
            if cells is None:
                return
            yield first, cells

    def _leave_out(self, first: int, reason: str) -> None:
        self._skip(first, self._lines.number, self._lines.first, reason)

    def notes(self, name: str) -> list[str]:
        """Notes on the rows so far.

        Args:
            name: name of the file.
        """
        notes = []
        if self._hiding:
            notes.append(
                f"{listed(self._hiding, SHOWN)} of {name} were read as one row, because a quote opens in the first and "
                "closes in the last. If they are several rows, fix the quotes"
            )
        if self._repeated:
            notes.append(f"Skipped {named_lines(self._repeated)} of {name}: the header again")
        if self._short:
            notes.append(f"{named_lines(self._short)} of {name}: fewer cells than the header; the rest is missing")
        return notes
