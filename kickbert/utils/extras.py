"""Optional packages: asked for where they are used, with an error that names the extra to install."""

import importlib.metadata
import importlib.util
from collections.abc import Iterable
from contextlib import suppress


def require(package: str, extra: str) -> None:
    """Check that an optional package is installed, without importing it.

    Raises:
        ImportError: it is not; the message names the extra of kickbert that brings it.

    >>> require("json", extra="anything")
    """
    if importlib.util.find_spec(package) is None:
        raise ImportError(f'this needs the package {package!r}: pip install "kickbert[{extra}]"')


def installed(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed.

    >>> installed(["no-such-package"])
    {}
    """
    found = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
