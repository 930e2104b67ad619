"""How tables stand in files: endings, encodings and separators, names of columns, types of cells."""

import codecs
import csv
import gzip
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import IO, Any

import pandas as pd

ENDINGS = {
    "csv": (".csv", ".tsv", ".csv.gz", ".tsv.gz"),
    "jsonl": (".jsonl", ".jsonl.gz"),
    "txt": (".txt", ".txt.gz"),
    "parquet": (".parquet",),
    "excel": (".xlsx",),
}
WRITABLE = ("csv", "jsonl", "parquet", "excel")
SEPARATORS = "\t,;|"
# The mark of UTF-32 begins with that of UTF-16.
MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
         codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
WESTERN = "cp1252"
CODECS = [WESTERN, "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "gb18030", "big5", "shift_jis",
          "euc_jp", "euc_kr"]  # fmt: skip
SAMPLE = 2**18  # bytes of lines beyond ASCII from which an encoding is told
INTEGER = r"[+-]?(?:0|[1-9][0-9]{0,17})"
DECIMAL = r"[+-]?(?:(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
EXACT = 2**53  # a float holds every whole number up to it


def table_kind(path: Path, kinds: tuple[str, ...] = tuple(ENDINGS)) -> str:
    """The kind of a file by its ending.

    Raises:
        ValueError: an ending of none of the kinds.

    >>> table_kind(Path("rows.TSV.gz"))
    'csv'
    """
    for kind in kinds:
        if path.name.lower().endswith(ENDINGS[kind]):
            return kind
    known = [ending for kind in kinds for ending in ENDINGS[kind]]
    raise ValueError(f"{path} ends in {path.suffix!r}; known are {known}")


def usual_separator(path: Path) -> str:
    """The separator that the ending of a file promises."""
    return "\t" if ".tsv" in path.name.lower() else ","


def open_file(path: Path, mode: str, **options: Any) -> IO:
    """Open a file, or what a .gz has inside."""
    opener: Callable = gzip.open if path.suffix.lower() == ".gz" else open
    return opener(path, mode, **options)


def detect_encoding(path: Path) -> tuple[str, list[int]]:
    """The encoding of a text file, and the numbers of the lines that are not in it.

    A byte order mark decides. A file that is UTF-8 but for a minority of its lines beyond ASCII is UTF-8 with damaged
    lines; any other is what charset-normalizer takes it for, Western European where that is as likely.

    Raises:
        ValueError: bytes that are no text.
        OSError, EOFError: a file that cannot be read.
    """
    with open_file(path, "rb") as file:
        start = file.read(4)
        for mark, name in MARKS.items():
            if start.startswith(mark):
                return name, []
        file.seek(0)
        beyond_ascii, foreign, sample = 0, [], bytearray()
        for number, line in enumerate(file, 1):
            if line.isascii():
                continue
            beyond_ascii += 1
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                foreign.append(number)
                sample += line
                if len(sample) >= SAMPLE and 2 * len(foreign) >= beyond_ascii:
                    break
    if not foreign or 2 * len(foreign) < beyond_ascii:
        return "utf-8", foreign
    if b"\0" in sample:
        raise ValueError("it holds bytes that no text has; its ending may be wrong")
    return _legacy_encoding(bytes(sample)), []


def _legacy_encoding(sample: bytes) -> str:
    """The likeliest encoding of bytes that are no UTF-8."""
    import charset_normalizer

    matches = list(charset_normalizer.from_bytes(sample, cp_isolation=CODECS))
    if not matches:
        return "latin-1"
    best = matches[0]
    ties = [m for m in matches if (m.chaos, m.coherence) == (best.chaos, best.coherence)]
    return WESTERN if any(WESTERN in m.could_be_from_charset for m in ties) else best.encoding


def detect_separator(sample: list[str], usual: str) -> str:
    """The separator of a CSV file: the one that its header has; of several in the header what csv.Sniffer says.

    Args:
        sample: its first lines.
        usual: what its ending promises.

    >>> detect_separator(["id;text\\n", "1;warm, and bright\\n"], ","), detect_separator(["text\\n", "a;b\\n"], ",")
    (';', ',')
    """
    header = sample[0] if sample else ""
    in_header = [s for s in SEPARATORS if len(next(csv.reader([header], delimiter=s), [])) > 1]
    if "\t" in in_header or len(in_header) < 2:  # a tab is never part of a name
        return "\t" if "\t" in in_header else (in_header or [usual])[0]
    try:
        return csv.Sniffer().sniff("".join(sample)[:8192], "".join(in_header)).delimiter
    except csv.Error:
        return usual if usual in in_header else in_header[0]


def column_names(header: Sequence[str]) -> list[str]:
    """The names of a header, each once, as pandas makes them.

    >>> column_names(["text", "", "text"])
    ['text', 'Unnamed: 1', 'text.1']
    """
    names: list[str] = []
    for i, name in enumerate(header):
        name = name or f"Unnamed: {i}"
        again = (f"{name}.{k}" for k in count(1))
        names.append(name if name not in names else next(other for other in again if other not in [*names, *header]))
    return names


def parse_column(cells: pd.Series) -> pd.Series:
    """The numbers or truth values of a column of text, where every cell is one and none loses a digit by it.

    Args:
        cells: strings, shape (n,); missing ones stay missing.
    Returns:
        "Int64", float64 or "boolean"; or the cells as they are.

    >>> parse_column(pd.Series(["1", None, "20"])).tolist(), parse_column(pd.Series(["007", "8"])).tolist()
    ([1, <NA>, 20], ['007', '8'])
    """
    present = cells.dropna()
    if present.empty:
        return cells
    if present.str.fullmatch(INTEGER).all():
        return cells.astype("Int64")
    if present.str.fullmatch(DECIMAL).all():
        return cells.astype(float)
    return (
        cells.map({"True": True, "False": False}).astype("boolean") if present.isin(["True", "False"]).all() else cells
    )


def cell_kind(cell: Any) -> str:
    """What type a column must have for a cell of JSON or Excel to stay exactly what it is."""
    if cell is None:
        return "missing"
    if isinstance(cell, int) and not isinstance(cell, bool):
        return "integer" if abs(cell) <= EXACT else "Int64" if -(2**63) <= cell < 2**63 else "object"
    return {bool: "boolean", float: "float"}.get(type(cell), "object")


def column_type(kinds: set[str]) -> str:
    """The dtype that holds cells of these kinds exactly.

    >>> column_type({"integer", "missing"}), column_type({"integer", "float"}), column_type({"Int64", "float"})
    ('Int64', 'float64', 'object')
    """
    kinds = kinds - {"missing"}
    types = {"Int64": {"integer", "Int64"}, "float64": {"integer", "float"}, "boolean": {"boolean"}}
    return next((name for name, held in types.items() if kinds and kinds <= held), "object")
