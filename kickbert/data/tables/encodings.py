"""Encodings of text files."""

import codecs
from pathlib import Path

from kickbert.data.tables.compression import open_file

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
PROBE = 4_000  # bytes that must be printable in UTF-16 and UTF-32
SAMPLE = 2**18  # bytes of non-ASCII lines from which an encoding is detected


def detect_encoding(path: Path) -> tuple[str, list[int]]:
    """Detect the encoding of a text file, and the numbers of the lines that do not fit it.

    A byte order mark decides. A file in which most of the non-ASCII lines are UTF-8 is UTF-8 with damaged lines. Any
    other is what charset-normalizer detects, Western European in case of a tie.

    Raises:
        ValueError: the file is binary.
        OSError, EOFError: the file cannot be read.
    """
    with open_file(path, "rb") as file:
        start = file.read(PROBE)
    for mark, name in MARKS.items():
        if start.startswith(mark):
            return name, []
    if wide := _wide_encoding(start):
        return wide, []
    non_ascii = 0
    damaged: list[int] = []
    sample = bytearray()
    with open_file(path, "rb") as file:
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


def _wide_encoding(sample: bytes) -> str | None:
    """Tell whether bytes without a mark are UTF-32 or UTF-16.

    In UTF-16, one byte in two of Western text is 0, and one of each line end in any text.

    >>> _wide_encoding("text,label".encode("utf-16-le")), _wide_encoding("这部,1\\n电影,2\\n".encode("utf-16-be"))
    ('utf-16-le', 'utf-16-be')
    >>> _wide_encoding("text,label".encode("utf-32-le")), _wide_encoding(b"text,label")
    ('utf-32-le', None)
    """
    if b"\0" not in sample:
        return None
    for name, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        try:
            text = codecs.getincrementaldecoder(name)().decode(sample)
        except UnicodeDecodeError:
            continue
        high = sample[width - 1 :: width] if name.endswith("le") else sample[::width]
        western = high.count(0) > len(high) // 5
        lines = 2 * text.count("\n") > sample.count(b"\n")
        if (western or lines) and all(c.isprintable() or c in "\t\r\n" for c in text):
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
