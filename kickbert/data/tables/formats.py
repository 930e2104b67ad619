"""File formats of tables by extension, and the encoding and separator of a text file."""

import codecs
import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

EXTENSIONS = {
    "csv": (".csv", ".tsv", ".csv.gz", ".tsv.gz"),
    "jsonl": (".jsonl", ".jsonl.gz"),
    "txt": (".txt", ".txt.gz"),
    "parquet": (".parquet",),
    "excel": (".xlsx",),
}
WRITABLE = ("csv", "jsonl", "parquet", "excel")
SEPARATORS = "\t,;|"
# In this order: the byte order mark of UTF-32 begins with that of UTF-16.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
WESTERN = "cp1252"
CODECS = [WESTERN, "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "gb18030", "big5", "shift_jis"]
CODECS += ["euc_jp", "euc_kr"]
PROBE = 1_000  # characters that must be printable in UTF-16
SAMPLE = 2**18  # bytes of non-ASCII lines from which an encoding is detected


def table_kind(path: Path, kinds: tuple[str, ...] = tuple(EXTENSIONS)) -> str:
    """The format of a file by its extension.

    Raises:
        ValueError: the extension belongs to none of the formats.

    >>> table_kind(Path("rows.TSV.gz"))
    'csv'
    """
    for kind in kinds:
        if path.name.lower().endswith(EXTENSIONS[kind]):
            return kind
    allowed = ", ".join(extension for kind in kinds for extension in EXTENSIONS[kind])
    raise ValueError(f"{path} has the extension {path.suffix!r}. Supported: {allowed}")


def usual_separator(path: Path) -> str:
    """The separator that the extension of a file implies."""
    return "\t" if ".tsv" in path.name.lower() else ","


def open_file(path: Path, mode: str, **options: Any) -> IO[Any]:
    """Open a file, or the content of a .gz file."""
    opener: Callable[..., Any] = gzip.open if path.suffix.lower() == ".gz" else open
    return opener(path, mode, **options)


def detect_encoding(path: Path) -> tuple[str, list[int]]:
    """Detect the encoding of a text file, and the numbers of the lines that do not fit it.

    A byte order mark decides. A file in which most of the non-ASCII lines are UTF-8 is UTF-8 with damaged lines. Any
    other is what charset-normalizer detects, Western European in case of a tie.

    Raises:
        ValueError: the file is binary.
        OSError, EOFError: the file cannot be read.
    """
    with open_file(path, "rb") as file:
        start = file.read(4)
        for mark, name in MARKS.items():
            if start.startswith(mark):
                return name, []
        if wide := _utf16(start + file.read(SAMPLE)):
            return wide, []
        file.seek(0)
        non_ascii = 0
        damaged: list[int] = []
        sample = bytearray()
        for number, line in enumerate(file, 1):
            if line.isascii():
                continue
            non_ascii += 1
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                damaged.append(number)
                sample += line
                if len(sample) >= SAMPLE and 2 * len(damaged) >= non_ascii:
                    break
    if not damaged or 2 * len(damaged) < non_ascii:
        return "utf-8", damaged
    if b"\0" in sample:
        raise ValueError("it is a binary file; its extension may be wrong")
    return _legacy_encoding(bytes(sample)), []


def _utf16(sample: bytes) -> str | None:
    """Tell whether bytes without a mark are UTF-16, in which every second byte of Western text and separators is 0.

    >>> _utf16("text,label".encode("utf-16-le")), _utf16(b"text,label")
    ('utf-16-le', None)
    """
    for name, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[::2])):
        text = sample[: min(2 * PROBE, len(sample) // 2 * 2)].decode(name, "replace")
        if zeros.count(0) > len(zeros) // 5 and all(c.isprintable() or c in "\t\r\n" for c in text):
            return name
    return None


def _legacy_encoding(sample: bytes) -> str:
    """The likeliest encoding of bytes that are not UTF-8."""
    import charset_normalizer

    matches = list(charset_normalizer.from_bytes(sample, cp_isolation=CODECS))
    if not matches:
        return "latin-1"
    best = matches[0]
    ties = [m for m in matches if (m.chaos, m.coherence) == (best.chaos, best.coherence)]
    return WESTERN if any(WESTERN in m.could_be_from_charset for m in ties) else best.encoding


def detect_separator(sample: list[str], usual: str) -> str:
    """Detect the separator of a CSV file: the one in its header, or csv.Sniffer's choice among several.

    Args:
        sample: its first lines.
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
