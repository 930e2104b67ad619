"""Rows of JSON: one object per line, a list of objects, or an object of columns."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from kickbert.data.tables.text_lines import Skip

ALLOWED = 'a list of objects, an object of columns (orient="records" or "columns" of pandas), or one object per line'


def json_rows(file: Iterable[str], skip: Skip) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file.

    Args:
        file: its lines.
        skip: called with the number of a line that is not a row, twice, its text, and the reason.
    Raises:
        ValueError: the file is one JSON value that is not a table.
    """
    numbered = ((number, line) for number, line in enumerate(file, 1) if line.strip())
    start = list(islice(numbered, 2))
    if len(start) == 2 and isinstance(_parsed(start[0][1])[0], dict):
        yield from _objects(chain(start, numbered), skip)
        return
    lines = [*start, *numbered]
    whole, error = _parsed("".join(line for _, line in lines))
    if error is None:
        yield from _table(whole)
    elif any(isinstance(_parsed(line)[0], dict) for _, line in lines):
        yield from _objects(lines, skip)
    else:
        raise ValueError(f"it is not JSON: {error}. Allowed: {ALLOWED}")


def _parsed(text: str) -> tuple[Any, str | None]:
    """The value of a JSON text, and the error if it has none."""
    try:
        return json.loads(text), None
    except (ValueError, RecursionError) as err:
        return None, str(err)


def _objects(lines: Iterable[tuple[int, str]], skip: Skip) -> Iterator[dict[str, Any]]:
    for number, line in lines:
        row, error = _parsed(line)
        if isinstance(row, dict):
            yield row
        else:
            kind = f"it is a {type(row).__name__}, not an object with columns and cells"
            skip(number, number, line, f"it is not JSON ({error})" if error else kind)


def _table(whole: Any) -> Iterator[dict[str, Any]]:
    """The rows of one JSON value."""
    if isinstance(whole, list):
        for number, row in enumerate(whole, 1):
            if not isinstance(row, dict):
                raise ValueError(f"item {number:,} of its list is a {type(row).__name__}. Allowed: {ALLOWED}")
            yield row
        return
    columns = list(whole.values()) if isinstance(whole, dict) else []
    if columns and all(isinstance(column, list) for column in columns) and len(set(map(len, columns))) == 1:
        yield from (dict(zip(whole, cells, strict=True)) for cells in zip(*columns, strict=True))
    elif columns and all(isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns):
        yield from ({name: column[key] for name, column in whole.items()} for key in columns[0])
    elif columns and not any(isinstance(column, (list, dict)) for column in columns):
        yield whole
    else:
        kind = f"one object with {', '.join(map(repr, list(whole)[:5]))}" if columns else f"a {type(whole).__name__}"
        raise ValueError(f"it is {kind}. Allowed: {ALLOWED}")
