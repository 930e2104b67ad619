"""Optional packages: asked for where they are used, with an error that names the extra to install."""

import importlib.util


def require(package: str, extra: str) -> None:
    """Check that an optional package is installed, without importing it.

    Raises:
        ImportError: it is not; the message names the extra of kickbert that brings it.

    >>> require("json", extra="anything")
    """
    if importlib.util.find_spec(package) is None:
        raise ImportError(f'this needs the package {package!r}: pip install "kickbert[{extra}]"')
