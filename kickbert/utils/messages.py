"""Parts of messages: rows by their names, texts cut to a width, the name that somebody may have meant."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `import kickbert` comes here, and is to cost nothing
    import numpy as np
    import pandas as pd


def nearest(name: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The end of an error message that offers the nearest of the known names; empty if none is near.

    >>> nearest("lable", ["text", "label"])
    "; did you mean 'label'?"
    """
    import difflib

    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""


def row_names(rows: "np.ndarray", index: "pd.Index") -> str:
    """The index labels of up to five of the rows (bool or positions), for a message."""
    labels = index[rows].tolist()
    return f"{labels[:5]}" + (f" and {len(labels) - 5:,} more" if len(labels) > 5 else "")


def shorten(text: str, width: int) -> str:
    """The text in at most `width` characters, on one line.

    >>> shorten("a long\\ntext", 8)
    'a long …'
    """
    text = " ".join(str(text).split())
    return text if len(text) <= width else text[: width - 1] + "…"
