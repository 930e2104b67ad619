"""What all plots share: axes, colours that colour-blind people can tell apart, and texts drawn letter by letter."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from kickbert.utils.messages import shorten

NAME_WIDTH = 22  # characters of a class name beside an axis
# Okabe and Ito's palette, which colour-blind people can tell apart.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#595959"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", GREY)
# A line has a style besides its colour, for those who print in black.
LINES = tuple(zip(COLOURS, ("-", "--", "-.", ":") * 2, strict=True))


def axes_of(ax: Axes | None, size: tuple[float, float] = (5.2, 4.4)) -> Axes:
    """The axes passed, or those of a new figure.

    Args:
        size: width and height of a new figure, in inches.
    """
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def literal(text: object, width: int = NAME_WIDTH) -> str:
    r"""Escape a user's text, so that matplotlib draws its dollar signs instead of reading mathtext between them.

    Args:
        text: a class name, a column, a token, or anything else that did not come from kickbert.
        width: characters at most, on one line.

    >>> print(literal("$1–2$"), literal("a_b^c"), literal("<b>"))
    \$1–2\$ a_b^c <b>
    """
    return shorten(str(text), width).replace("$", r"\$")
