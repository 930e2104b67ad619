"""Checks for optional packages, with an error that names the extra to install."""

import importlib.metadata
import importlib.util
from collections.abc import Iterable
from contextlib import suppress


def require(package: str, extra: str) -> None:
    """Check that an optional package is installed, without importing it.

    Args:
        package: import name of the package.
        extra: the extra of kickbert, as in `pip install "kickbert[extra]"`.
    Raises:
        ImportError: the package is not installed.

    >>> require("json", extra="anything")
    """
    if importlib.util.find_spec(package) is None:
        raise ImportError(f'this needs the package {package!r}: pip install "kickbert[{extra}]"')


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Look up the versions of packages; packages that are not installed are omitted.

    Args:
        packages: package names on PyPI.
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
