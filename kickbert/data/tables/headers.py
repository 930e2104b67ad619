"""The first lines of a table: its separator, and titles above the header."""

import csv
import re
from collections.abc import Sequence
from itertools import takewhile

SEPARATORS = "\t,;|"
TITLES = 20  # maximum lines above the header
_NAME = re.compile(r"\w[\w.-]*(?: \w[\w.-]*)?")  # of a column: one word or two
_EXCEL = re.compile(r'"?sep=(.)"?,*\s*', re.IGNORECASE)  # a line that tells Excel the separator


def detect_separator(sample: Sequence[str], usual: str) -> str:
    """Detect the separator of a CSV file: the one in its header, or csv.Sniffer's choice among several.

    Args:
        sample: its first lines, the header first.
        usual: the separator that its extension implies.

    >>> detect_separator(["id;text\\n", "1;warm, and bright\\n"], ","), detect_separator(["text\\n", "a;b\\n"], ",")
    (';', ',')
    """
    header = sample[0] if sample else ""
    candidates = [s for s in SEPARATORS if len(next(csv.reader([header], delimiter=s), [])) > 1]
    if "\t" in candidates:  # a tab is never part of a name
        return "\t"
    if len(candidates) < 2:
        return candidates[0] if candidates else usual
    try:
        return csv.Sniffer().sniff("".join(sample)[:8192], "".join(candidates)).delimiter
    except csv.Error:
        return usual if usual in candidates else candidates[0]


def detect_layout(sample: Sequence[str], usual: str, sep: str | None) -> tuple[str, int]:
    """Detect the separator of a CSV file and the number of lines above its header.

    Args:
        sample: its first lines.
        usual: the separator that its extension implies.
        sep: the separator, if it is known.

    >>> detect_layout(["sep=;\\n", "text;label\\n"], ",", None)
    (';', 1)
    >>> detect_layout(["Our survey\\n", "\\n", "text;label\\n", "warm, and bright;good\\n"], ",", None)
    (';', 2)
    """
    if sample and (named := separator_line(sample[0])):
        return sep or named, 1
    for above in range(1, min(TITLES, len(sample) - 1)):
        found = sep or detect_separator(sample[above:], usual)
        if title_rows(list(csv.reader(sample, delimiter=found))) == above:
            return found, above
    return sep or detect_separator(sample, usual), 0


def separator_line(line: str) -> str | None:
    """The separator that a line names for Excel, such as "sep=;"; None for any other line."""
    match = _EXCEL.fullmatch(line)
    return match[1] if match else None


def title_rows(rows: Sequence[Sequence[object]]) -> int:
    """Count the rows of titles, comments and blanks above a header; 0 if the first row may be the header itself.

    A title is one cell of several words, or a comment after "#", or has an empty row below it. The header has a name in
    every column, and most of the rows below it have as many cells. A row of as many cells is the header, as
    "#id,text,label" is.

    >>> title_rows([["Our survey", ""], ["text", "label"], ["a film", "good"]])
    1
    >>> title_rows([["text"], ["Hello", " world"], ["Bye", " moon"]])
    0
    """
    filled = [_filled(row) for row in rows]
    above = len(list(takewhile(lambda cells: len(cells) < 2 or _is_comment(cells), filled[:TITLES])))
    if above == 0 and [] in filled[:TITLES]:
        above = filled.index([]) + 1
    titles, table = [cells for cells in filled[:above] if cells], filled[above:]
    if not titles or len(table) < 2:
        return 0
    header, *below = table
    width = len(header)
    words = any(" " in cell for cells in titles for cell in cells)
    is_title = words or _is_comment(titles[0]) or (len(titles[0]) == 1 and not filled[above - 1])
    is_header = len(set(header)) == width and all(name and name == name.strip() for name in header)
    fits = [cells for cells in below if cells and len(cells) <= width]
    if any(len(cells) >= width and not (_is_comment(cells) and len(cells) > width) for cells in titles):
        return 0
    fills = any(len(cells) == width for cells in fits) and 2 * len(fits) > sum(map(bool, below))
    return above if is_title and is_header and fills else 0


def _filled(row: Sequence[object]) -> list[str]:
    """The cells of a row as text, without the empty ones at its end."""
    cells = ["" if cell is None else str(cell) for cell in row]
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def _is_comment(cells: list[str]) -> bool:
    return bool(cells) and cells[0].startswith("#")


def delimiter_of_text(sample: Sequence[str]) -> str | None:
    """The separator of a text file that is a table: its header has names, and nine rows in ten have as many cells.

    >>> delimiter_of_text(["text\\tlabel\\n", "a warm film\\tgood\\n"])
    '\\t'
    >>> delimiter_of_text(["Hello, world\\n", "Bye, moon\\n"]) is None
    True
    """
    for sep in SEPARATORS:
        header, *rows = [cells for cells in csv.reader(sample, delimiter=sep) if cells] or [[]]
        is_header = len(set(header)) == len(header) > 1 and all(map(_NAME.fullmatch, header))
        fits = sum(len(row) == len(header) for row in rows)
        if is_header and fits and 10 * fits >= 9 * len(rows):
            return sep
    return None
