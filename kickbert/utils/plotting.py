"""Pictures. Every function returns its figure and takes `ax=`."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

# Okabe and Ito's palette, which colour-blind people can tell apart.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#595959"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", GREY)
# A line has a style besides its colour, for those who print in black.
LINES = tuple(zip(COLOURS, ("-", "--", "-.", ":") * 2, strict=True))


def shortened(name: str, most: int = 22) -> str:
    """A class name that fits beside an axis.

    >>> shortened("a very long name of some class")
    'a very long name of s…'
    """
    return name if len(name) <= most else name[: most - 1] + "…"


def plot_ladder(
    ladder: pd.DataFrame, baselines: dict[str, float] | None = None, metric: str = "accuracy", ax: Axes | None = None
) -> Figure:
    """What each phase of gradual unfreezing brought.

    Args:
        ladder: the table that `fit_gradual` returns.
        baselines: the same metric of other models, drawn as dashed lines.
        metric: a column of the ladder, between 0 and 1.
    Raises:
        ValueError: the ladder has no such column.
    """
    if metric not in ladder.columns:
        raise ValueError(f"metric={metric!r} is not in the ladder; it has {list(ladder.columns)}")
    if ax is None:
        _, ax = plt.subplots(figsize=(1.8 * len(ladder) + 3.2, 4.2), layout="constrained")
    values = ladder[metric].to_list()
    bars = ax.bar(range(len(ladder)), values, width=0.62, color=BLUE)
    ax.bar_label(bars, [f"{v:.1%}" for v in values], padding=3)
    ax.set_xticks(range(len(ladder)), [_tick(row) for row in ladder.to_dict("records")])
    for (name, value), style in zip((baselines or {}).items(), ("--", ":", "-.") * 9, strict=False):
        ax.axhline(value, color=ORANGE, linestyle=style, linewidth=1.5, zorder=3)
        # Beside the bars, where no bar can hide it.
        ax.text(len(ladder) - 0.42, value, f" {name} {value:.1%}", color=ORANGE, va="center", ha="left")
    everything = [*values, *(baselines or {}).values()]
    ax.set_ylim(0, min(1.0, max(everything) * 1.15))
    ax.set_xlim(-0.6, len(ladder) - (0.4 if not baselines else -1.0))
    ax.set_ylabel(f"{metric.replace('_', ' ')} on validation rows")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("The ladder: what each phase of unfreezing brings", loc="left")
    return ax.figure


def _tick(row: dict) -> str:
    epochs = f"{row['epochs']} epoch" + ("s" if row["epochs"] > 1 else "")
    return f"{row['phase']}\n{epochs}, {row['seconds']:.0f} s"
