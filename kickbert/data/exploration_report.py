"""An exploration as figures and as a page."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kickbert.utils.atomic_files import replacing
from kickbert.utils.extras import require
from kickbert.utils.html_page import Section, page
from kickbert.utils.messages import shorten
from kickbert.utils.plotting import BLUE, ORANGE

MOST = 30  # bars of a figure
TOLD = {
    "classes": "How many rows each class has.",
    "lengths": "How much of the texts each max_length would cut.",
    "distinctive words": "The words that set each class apart from the others, the most telling first.",
    "missing": "Cells that hold nothing.",
    "duplicates": "Texts that stand in an earlier row too.",
    "near duplicates": "Different texts that share most of their letters; a split should not part them.",
    "leaks": "Test rows whose text stands in training: the model has seen the answer.",
    "languages": "The languages of the texts, of a sample where there are many rows.",
    "suspicious labels": "Rows whose label a simple model, trained on the other rows, would not have given.",
}


def figures(tables: dict[str, pd.DataFrame], lengths: np.ndarray) -> dict[str, Figure]:
    """matplotlib figures by the name of their table."""
    require("seaborn", extra="report")
    made = {}
    if "classes" in tables:
        made["classes"] = _bars(tables["classes"], "class")
    if len(tables.get("languages", ())) > 1:
        made["languages"] = _bars(tables["languages"], "language")
    made["lengths"] = _lengths(lengths, tables["lengths"])
    return made


def _bars(table: pd.DataFrame, name: str) -> Figure:
    import seaborn as sns

    shown = table.head(MOST)
    figure = Figure(figsize=(7, 0.6 + 0.28 * len(shown)), layout="constrained")
    ax = figure.subplots()
    sns.barplot(data=shown.assign(**{name: shown[name].astype(str)}), x="rows", y=name, color=BLUE, ax=ax)
    ax.bar_label(ax.containers[0], labels=[f"{n:,}" for n in shown["rows"]], padding=3, fontsize=8)
    ax.margins(x=0.12)
    more = f" (the {MOST} largest of {len(table)})" if len(table) > MOST else ""
    ax.set(xlabel=f"rows{more}", ylabel="")
    sns.despine(figure)
    return figure


def _lengths(lengths: np.ndarray, cuts: pd.DataFrame) -> Figure:
    import seaborn as sns

    figure = Figure(figsize=(7, 3), layout="constrained")
    ax = figure.subplots()
    usual = np.percentile(lengths, 99)
    shown = lengths if lengths.max() < 3 * usual else lengths[lengths <= usual]  # one book would hide all the rest
    width = 1 + int(np.ptp(shown)) // 40  # whole tokens, or some bars would hold more lengths than others
    sns.histplot(shown, bins=np.arange(shown.min(), shown.max() + 1 + width, width) - 0.5, color=BLUE, ax=ax)
    for at, share in zip(cuts["max_length"], cuts["share truncated"], strict=True):
        if at <= shown.max():
            ax.axvline(at, color=ORANGE, linewidth=1)
            ax.annotate(
                f"{at}: {share:.0%} cut", (at, 0.98), xycoords=("data", "axes fraction"), rotation=90, va="top",
                ha="right", fontsize=8, color=ORANGE,
            )  # fmt: skip
    longer = len(lengths) - len(shown)
    more = f" ({longer:,} rows have more, up to {lengths.max():,})" if longer else ""
    ax.set(xlabel=f"tokens of a row{more}", ylabel="rows")
    sns.despine(figure)
    return figure


def write(file: Path, summary: pd.DataFrame, tables: dict[str, pd.DataFrame], lengths: np.ndarray) -> Path:
    """Write all of it as one page."""
    drawn = figures(tables, lengths)
    sections = [Section("What stands out", table=summary)]
    for name, told in TOLD.items():
        if name in tables:
            sections.append(Section(name.capitalize(), told, tables[name], drawn.get(name)))
    rows = int(summary.loc[summary["statistic"] == "rows", "value"].iloc[0])
    with replacing(file) as part:
        part.write_text(page("The texts", f"{rows:,} rows", sections), encoding="utf-8")
    return file


MANY = 30  # classes of a bar chart


def plot_classes(counts: pd.Series, ax: Axes | None = None) -> Figure:
    """Rows of each class, the largest first; of very many the largest thirty."""
    shown = counts.sort_values(ascending=False)[:MANY][::-1]
    ax = plt.subplots(figsize=(6, 0.8 + 0.26 * len(shown)), layout="constrained")[1] if ax is None else ax
    bars = ax.barh([shorten(str(n), 30) for n in shown.index], shown.to_numpy(), color=BLUE)
    ax.bar_label(bars, [f"{n:,}" for n in shown], padding=3, fontsize=8)
    ax.margins(x=0.12)
    more = f" (the {MANY} largest of {len(counts)} classes)" if len(counts) > MANY else ""
    ax.set(xlabel=f"rows{more}")
    ax.spines[["top", "right"]].set_visible(False)
    return ax.figure
