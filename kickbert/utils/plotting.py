"""Axes, colors and text of all plots."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kickbert.utils.messages import shorten

NAME_WIDTH = 22  # maximum characters of a class name beside an axis
# Okabe and Ito's palette, which works for color-blind readers; purple and a middle gray show on white and on black.
BLUE, ORANGE, GRAY = "#0072B2", "#D55E00", "#767676"
COLORS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7B61C9", GRAY)
# Each line also has its own style, for black-and-white prints.
LINES = tuple(zip(COLORS, ("-", "--", "-.", ":") * 2, strict=True))


def axes_of(ax: Axes | None, size: tuple[float, float] = (5.2, 4.4)) -> Axes:
    """Return `ax`, or the axes of a new figure.

    Args:
        ax: axes; None for a new figure.
        size: width and height of a new figure, in inches.
    """
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def figure_of(ax: Axes) -> Figure:
    """Return the figure of axes, which may be in a subfigure."""
    return ax.figure.figure


def literal(text: object, width: int = NAME_WIDTH) -> str:
    r"""Escape a user's text so that matplotlib draws dollar signs instead of reading mathtext between them.

    Args:
        text: a class name, a column, a token, or other text of the user's.
        width: maximum number of characters, on one line.

    >>> print(literal("$1–2$"), literal("a_b^c"), literal("<b>"))
    \$1–2\$ a_b^c <b>
    """
    return shorten(str(text), width).replace("$", r"\$")
