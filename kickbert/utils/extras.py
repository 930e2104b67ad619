"""Optional packages: asked for where they are used, with an error that names the extra to install."""

import importlib.metadata
import importlib.util
from collections.abc import Iterable
from contextlib import suppress


def require(package: str, extra: str) -> None:
    """Check that an optional package is installed, without importing it.

    Args:
        package: the name that it is imported by.
        extra: of kickbert, as in `pip install "kickbert[extra]"`.
    Raises:
        ImportError: it is not; the message names the extra of kickbert that brings it.

    >>> require("json", extra="anything")
    """
    if importlib.util.find_spec(package) is None:
        raise ImportError(f'this needs the package {package!r}: pip install "kickbert[{extra}]"')


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Look up the versions of packages; those that are not installed are left out.

    Args:
        packages: names on PyPI.
    Returns:
        Version by name.

    >>> installed(["no-such-package"])
    {}
    """
    versions = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
