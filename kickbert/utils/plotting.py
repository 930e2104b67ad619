"""Pictures. Every function returns its figure and takes `ax=`."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

NAME_WIDTH = 22  # characters of a class name beside an axis
# Okabe and Ito's palette, which colour-blind people can tell apart.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#595959"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", GREY)
# A line has a style besides its colour, for those who print in black.
LINES = tuple(zip(COLOURS, ("-", "--", "-.", ":") * 2, strict=True))


def axes_of(ax: Axes | None, size: tuple[float, float] = (5.2, 4.4)) -> Axes:
    """The axes given, or those of a new figure of this size, in inches."""
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax
