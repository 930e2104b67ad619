"""Files of tables that are compressed, and the one table of a .zip file."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any

from kickbert.data.tables.formats import COMPRESSIONS, EXTENSIONS
from kickbert.utils.extras import require


def _open_zst(path: Path, mode: str, **options: Any) -> IO[Any]:
    require("pyarrow", extra="export")
    import pyarrow as pa

    if "w" in mode:
        file: IO[Any] = io.BufferedWriter(pa.CompressedOutputStream(str(path), "zstd"))
    else:
        file = io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    return io.TextIOWrapper(file, **options) if "t" in mode else file


_OPENERS: dict[str, Callable[..., IO[Any]]] = dict(
    zip(COMPRESSIONS, (gzip.open, bz2.open, lzma.open, _open_zst), strict=True)
)


def open_file(path: Path, mode: str, like: Path | None = None, **options: Any) -> IO[Any]:
    """Open a file, the content of a compressed one, or the table in a .zip file.

    Args:
        path, mode, options: as for the built-in `open`; a .zip file can only be read.
        like: the file whose extension tells the compression, if it is not `path`.
    Raises:
        ValueError: a .zip file does not contain exactly one table.
    """
    extension = (like or path).suffix.lower()
    if extension != ".zip":
        return _OPENERS.get(extension, open)(path, mode, **options)
    file = zipfile.ZipFile(path).open(str(table_name(path)))  # noqa: SIM115 - the caller closes it
    return io.TextIOWrapper(file, **options) if "t" in mode else file


def table_name(path: Path) -> Path:
    """The name that tells the format of a file: its own, or that of the one table in a .zip file.

    Raises:
        ValueError: a .zip file does not contain exactly one table.
    """
    if path.suffix.lower() != ".zip":
        return path
    with zipfile.ZipFile(path) as archive:
        members = [PurePosixPath(name) for name in archive.namelist()]
    hidden = ("__MACOSX", ".")  # what macOS adds to each archive
    tables = [m for m in members if m.suffix.lower() in EXTENSIONS and not any(p.startswith(hidden) for p in m.parts)]
    if len(tables) == 1:
        return Path(tables[0])
    names = ", ".join(repr(str(name)) for name in tables[:10])
    found = f"{len(tables)} tables ({names}{', …' if len(tables) > 10 else ''})" if tables else "no table"
    raise ValueError(f"it contains {found}, and one is allowed. Extract the file that you need")


def content(path: Path) -> Path | io.BytesIO:
    """A file for a library that seeks in it: the path itself, or the unpacked bytes of a compressed file."""
    if path.suffix.lower() not in (*COMPRESSIONS, ".zip"):
        return path
    with open_file(path, "rb") as file:
        return io.BytesIO(file.read())
