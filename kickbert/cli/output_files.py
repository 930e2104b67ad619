"""Output files: never a file that the command reads, and an existing file only with --overwrite."""

from pathlib import Path

PAGES = (".html", ".htm")


def check_output(out: Path, source: Path, overwrite: bool) -> None:
    """Check that an output file may be written.

    Raises:
        ValueError: it is the input, or exists and may not be overwritten.
    """
    out = out.expanduser()
    if not out.exists():
        return
    if out.samefile(source.expanduser()):
        raise ValueError(f"{out} is the input and would be overwritten. Give another name for the output")
    if not overwrite:
        raise ValueError(f"{out} exists. Pass --overwrite to replace it, or give another name for the output")


def check_page(out: Path) -> None:
    """Check the name of a page, so that a page replaces only pages.

    Raises:
        ValueError: the name is not that of an HTML file.
    """
    if out.suffix.lower() not in PAGES:
        raise ValueError(f"--out {out} must end in .html, because the output is an HTML page")
