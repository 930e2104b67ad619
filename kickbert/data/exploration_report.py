"""The figures and the HTML page of an exploration."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kickbert.data.findings import findings
from kickbert.utils.atomic_files import replacing
from kickbert.utils.html_page import Section, page
from kickbert.utils.messages import plural
from kickbert.utils.plotting import BLUE, ORANGE, axes_of, figure_of, literal

MAX_BARS = 30  # per figure
MIN_DISTANCE = 0.06  # between two tick labels, as a fraction of the axis
# The heading and a sentence of each table.
HEADINGS = {
    "classes": ("Class distribution", "Number of rows per class."),
    "lengths": ("Text lengths in tokens", "The share of texts that each max_length would truncate."),
    "distinctive words": ("Distinctive words", "Words that set each class apart from the others, strongest first."),
    "missing": ("Missing values", "Empty cells."),
    "duplicates": ("Exact duplicates", "Texts that repeat an earlier row."),
    "near duplicates": ("Near duplicates", "Texts that are almost identical. Keep each group in the same split."),
    "leaks": (
        "Train-test leakage",
        "Test rows with a text from the training set. Their scores will look too good.",
    ),
    "languages": (
        "Languages",
        "Detected languages of the texts that are long enough to tell; of a sample if there are many rows.",
    ),
    "suspicious labels": (
        "Suspicious labels",
        "Rows whose label looks very unlikely to two linear models trained on the other rows. Most of these labels "
        "are wrong. Raise suspicious_below to list more.",
    ),
}


def figures(tables: dict[str, pd.DataFrame], lengths: np.ndarray) -> dict[str, Figure]:
    """Draw the class distribution, the text lengths and the languages.

    Args:
        tables: tables of an `Exploration`.
        lengths: tokens of each row, shape (n,).
    Returns:
        Figures by table name.
    """
    drawn = {}
    for name, column in {"classes": "class", "languages": "language"}.items():
        if len(tables.get(name, ())) > (name == "languages"):  # a single language needs no figure
            drawn[name] = plot_classes(tables[name].set_index(column)["rows"])
    drawn["lengths"] = _plot_lengths(lengths, tables["lengths"])
    return drawn


def plot_classes(counts: pd.Series, ax: Axes | None = None) -> Figure:
    """Plot the class distribution: rows per class for up to 30 classes, the largest first.

    Args:
        counts: rows by class, in any order.
        ax: axes to draw on; None for a new figure.
    """
    shown = counts.sort_values(ascending=False, kind="stable")[:MAX_BARS]
    ax = axes_of(ax, (6, 0.8 + 0.26 * len(shown)))
    bars = ax.barh(range(len(shown)), shown.to_numpy(), color=BLUE)
    ax.bar_label(bars, [f"{n:,}" for n in shown], padding=3, fontsize=8)
    ax.set_yticks(range(len(shown)), [literal(name, width=30) for name in shown.index])
    ax.invert_yaxis()
    ax.margins(x=0.12, y=0.01)
    ax.set(xlabel="rows" + (f" (the {MAX_BARS} largest of {len(counts)})" if len(counts) > MAX_BARS else ""))
    ax.spines[["top", "right"]].set_visible(False)
    return figure_of(ax)


def _plot_lengths(lengths: np.ndarray, truncated: pd.DataFrame) -> Figure:
    """Plot a histogram of tokens, with the share of texts that each max_length truncates."""
    ax = axes_of(None, (7, 3.2))
    usual = np.percentile(lengths, 99)
    shown = lengths if lengths.max() < 3 * usual else lengths[lengths <= usual]  # a single book would hide the rest
    width = 1 + int(np.ptp(shown)) // 40  # bins of whole tokens cover equally many lengths
    edges = np.arange(shown.min(), shown.max() + 1 + width, width) - 0.5
    ax.hist(shown, bins=edges.tolist(), color=BLUE, edgecolor=ax.get_facecolor())
    left, right = ax.get_xlim()
    ticks: dict[int, str] = {}
    for max_length, share in zip(truncated["max_length"], truncated["share truncated"], strict=True):
        if max_length <= right:
            ax.axvline(max_length, color=ORANGE, linewidth=1)
            if max_length - max(ticks, default=-np.inf) > MIN_DISTANCE * (right - left):
                ticks[max_length] = f"{max_length}\n{share:.0%}"
    if ticks:
        top = ax.secondary_xaxis("top")
        top.set_xticks(list(ticks), list(ticks.values()), fontsize=8, color=ORANGE)
        top.set_xlabel("max_length and share of texts that it truncates", color=ORANGE, fontsize=8)
        top.spines["top"].set_visible(False)
    longer = len(lengths) - len(shown)
    more = f" (not shown: {plural(longer, 'longer row')}, up to {lengths.max():,})" if longer else ""
    ax.set(xlabel=f"tokens{more}", ylabel="rows")
    ax.spines[["top", "right"]].set_visible(False)
    return figure_of(ax)


def write(
    file: Path,
    summary: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    lengths: np.ndarray,
    source: str | None = None,
) -> Path:
    """Write an exploration as one HTML page.

    Args:
        file: the HTML file.
        summary, tables, lengths: as in `Exploration`.
        source: name of the table.
    Returns:
        The file.
    """
    drawn = figures(tables, lengths)
    sections = [Section("Summary", " ".join(findings(summary, tables)), summary)]
    for name, (heading, text) in HEADINGS.items():
        if name in tables:
            sections.append(Section(heading, text, tables[name], drawn.get(name)))
    rows = int(summary.loc[summary["statistic"] == "rows", "value"].iloc[0])
    lead = f"{source}, {plural(rows, 'row')}" if source else plural(rows, "row")
    with replacing(file) as part:
        part.write_text(page("Data exploration", lead, sections), encoding="utf-8")
    return file
