"""Helpers for messages: nearest names, row labels, shortened texts, counts, times and sizes; a repr of facts."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `import kickbert` imports this module and must stay fast
    import numpy as np
    import pandas as pd

UNITS = {"s": 1, "sec": 1, "min": 60, "h": 3600}


def nearest(name: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Suggest the known name most similar to an unknown one, as the end of an error message; "" if none is similar.

    Args:
        name: the unknown name.
        known: the known names.
        cutoff: minimum similarity, from 0 to 1 (`difflib.get_close_matches`).

    >>> nearest("lable", ["text", "label"])
    ". Did you mean 'label'?"
    """
    import difflib

    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=cutoff)
    return f". Did you mean {near[0]!r}?" if near else ""


def row_names(rows: "np.ndarray", index: "pd.Index") -> str:
    """List the index labels of up to five rows, for a message.

    Args:
        rows: a bool mask of shape (n,), or positions.
        index: the index of all rows, shape (n,).

    >>> import numpy as np, pandas as pd
    >>> row_names(np.arange(7), pd.RangeIndex(100, 110))
    '[100, 101, 102, 103, 104] and 2 more'
    """
    labels = index[rows].tolist()
    return f"{labels[:5]}" + (f" and {len(labels) - 5:,} more" if len(labels) > 5 else "")


def listed(names: Sequence[Any], most: int, sep: str = ", ") -> str:
    """List the first names, and how many more there are.

    >>> listed(["a", "b", "c", "d"], 3)
    'a, b, c and 1 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return sep.join(map(str, names[:most])) + more


def shorten(text: str, width: int) -> str:
    """Shorten a text to at most `width` characters, on one line.

    >>> shorten("a long\\ntext", 8)
    'a long …'
    """
    text = " ".join(str(text).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def plural(count: int, singular: str, plural: str | None = None) -> str:
    """Format a count with its noun.

    Args:
        count: number of things.
        singular: the noun for one of them.
        plural: the noun for several; `singular` plus "s" by default.

    >>> plural(1, "row"), plural(2400, "row"), plural(0, "class", "classes")
    ('1 row', '2,400 rows', '0 classes')
    """
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"


def seconds(budget: str | float) -> float:
    """Parse a time budget in seconds.

    Raises:
        ValueError: `budget` is not a time.

    >>> seconds("20 min"), seconds("1.5h"), seconds(90)
    (1200.0, 5400.0, 90.0)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(budget))
    if match is None or (match[2] or "s") not in UNITS or float(match[1]) <= 0:
        raise ValueError(
            f"budget={budget!r} is not a time. Use seconds, or a number and one of {list(UNITS)}: '20 min'"
        )
    return float(match[1]) * UNITS[match[2] or "s"]


def byte_size(size: float) -> str:
    """Format a number of bytes as MB or GB.

    >>> byte_size(3_210_000), byte_size(2.5e9)
    ('3.2 MB', '2.5 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


class Described:
    """A repr from `facts`: one line per fact in a terminal, a table in a notebook."""

    def facts(self) -> dict[str, str]:
        """Return the facts to show, by name."""
        raise NotImplementedError

    def __repr__(self) -> str:
        facts = self.facts()
        width = max(map(len, facts), default=0)
        return "\n".join([type(self).__name__, *(f"  {name:{width}}  {fact}" for name, fact in facts.items())])

    def _repr_html_(self) -> str:
        import html

        rows = (f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in self.facts().items())
        return f"<p><strong>{type(self).__name__}</strong></p><table>{''.join(rows)}</table>"
