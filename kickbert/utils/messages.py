"""Names that somebody may have meant."""

import difflib
from collections.abc import Iterable


def nearest(name: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The end of an error message that offers the nearest of the known names; empty if none is near.

    >>> nearest("lable", ["text", "label"])
    "; did you mean 'label'?"
    """
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""
