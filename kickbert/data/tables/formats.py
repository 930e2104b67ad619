"""File formats of tables by extension."""

from collections.abc import Collection
from pathlib import Path

EXTENSIONS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "txt",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".feather": "arrow",
    ".arrow": "arrow",
    ".xlsx": "excel",
    ".xls": "excel",
    ".ods": "excel",
}
WRITABLE = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet", ".xlsx")
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
READABLE = f"{', '.join(EXTENSIONS)}; compressed as {', '.join(COMPRESSIONS)} or .zip"


def table_kind(path: Path, extensions: Collection[str] = tuple(EXTENSIONS)) -> str:
    """The format of a file by its extension.

    Raises:
        ValueError: the extension belongs to none of the formats.

    >>> table_kind(Path("rows.TSV.gz")), table_kind(Path("rows.ndjson"))
    ('csv', 'json')
    """
    extension = path.suffix.lower()
    packed = extension in COMPRESSIONS
    if packed:
        extension = path.with_suffix("").suffix.lower()
    writes = extensions is WRITABLE
    if extension in extensions and not (packed and writes and EXTENSIONS[extension] not in ("csv", "json")):
        return EXTENSIONS[extension]
    allowed = f"{', '.join(extensions)} (text also with {', '.join(COMPRESSIONS)})" if writes else READABLE
    raise ValueError(f"{path} has the extension {path.suffix!r}. Supported: {allowed}")


def usual_separator(path: Path) -> str:
    """The separator that the extension of a file implies.

    >>> usual_separator(Path("rows.tsv.gz")), usual_separator(Path("rows.csv"))
    ('\\t', ',')
    """
    return "\t" if {".tsv", ".tab"} & set(path.name.lower().replace(".", " .").split()) else ","
