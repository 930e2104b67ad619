"""Parts of messages: row labels, shortened texts, the known name nearest to an unknown one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `import kickbert` comes here, and is to cost nothing
    import numpy as np
    import pandas as pd


def nearest(name: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Suggest the known name nearest to an unknown one, as the end of an error message; empty if none is near.

    Args:
        cutoff: similarity from 0 to 1 below which no name is near (`difflib.get_close_matches`).

    >>> nearest("lable", ["text", "label"])
    "; did you mean 'label'?"
    """
    import difflib

    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""


def row_names(rows: "np.ndarray", index: "pd.Index") -> str:
    """List the index labels of up to five rows, for a message.

    Args:
        rows: which, as a bool mask of shape (n,) or as positions.
        index: of all rows, shape (n,).

    >>> import numpy as np, pandas as pd
    >>> row_names(np.arange(7), pd.RangeIndex(100, 110))
    '[100, 101, 102, 103, 104] and 2 more'
    """
    labels = index[rows].tolist()
    return f"{labels[:5]}" + (f" and {len(labels) - 5:,} more" if len(labels) > 5 else "")


def shorten(text: str, width: int) -> str:
    """Cut a text to at most `width` characters, on one line.

    >>> shorten("a long\\ntext", 8)
    'a long …'
    """
    text = " ".join(str(text).split())
    return text if len(text) <= width else text[: width - 1] + "…"
