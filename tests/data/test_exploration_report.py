"""The page of an exploration: headings, verbatim class names, no network."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from kickbert.data.exploration_report import HEADINGS, figures, plot_classes, write
from kickbert.data.profiling import truncated

HOSTILE = [r"$\frac$", "a_b^c", "<b>&", "very long name " * 20, "very long name " * 21, "😀", "שלום", "$1–2$"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def tables(names: list[str], lengths: np.ndarray) -> dict[str, pd.DataFrame]:
    rows = range(len(names), 0, -1)
    return {
        "classes": pd.DataFrame({"class": names, "rows": rows, "share": 0.1}),
        "languages": pd.DataFrame({"language": ["en", "de"], "rows": [9, 3], "share": [0.75, 0.25]}),
        "lengths": truncated(lengths, (32, 64, 128)),
    }


@pytest.mark.filterwarnings("ignore:Glyph")
def test_class_names_are_drawn_verbatim_with_one_bar_each(tmp_path):
    lengths = np.array([3, 40, 70])
    drawn = figures(tables(HOSTILE, lengths), lengths)
    assert set(drawn) == {"classes", "languages", "lengths"}
    ax = drawn["classes"].axes[0]
    drawn["classes"].canvas.draw()  # mathtext that cannot be parsed raises here
    assert [bar.get_width() for bar in ax.patches] == [
        8,
        7,
        6,
        5,
        4,
        3,
        2,
        1,
    ]  # names that are equal once shortened have separate bars
    assert len({bar.get_y() for bar in ax.patches}) == 8
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == r"\$\frac\$" and labels[2] == "<b>&" and max(map(len, labels)) <= 32


def test_only_the_largest_classes_are_drawn():
    ax = plot_classes(pd.Series(range(1, 41), index=[f"class {i}" for i in range(40)])).axes[0]
    assert len(ax.patches) == 30 and ax.get_xlabel() == "rows (the 30 largest of 40)"
    assert ax.patches[0].get_width() == 40 and ax.yaxis_inverted()
    _, ax = plt.subplots()
    assert plot_classes(pd.Series({"a": 1}), ax=ax) is ax.figure


def test_lengths_show_the_truncated_share():
    lengths = np.append(np.arange(5, 105), 9_000)
    ax = figures(tables(["a"], lengths), lengths)["lengths"].axes[0]
    assert ax.get_xlabel() == "tokens (not shown: 1 longer row, up to 9,000)"
    top = ax.child_axes[0]
    assert [label.get_text() for label in top.get_xticklabels()] == ["32\n72%", "64\n41%"]
    assert sum(bar.get_height() for bar in ax.patches) == 100


def test_lengths_below_every_limit_and_equal_lengths():
    for lengths in (np.array([3, 4, 5]), np.array([7, 7, 7])):
        figure = figures(tables(["a"], lengths), lengths)["lengths"]
        figure.canvas.draw()
        assert not figure.axes[0].child_axes


@pytest.mark.filterwarnings("ignore:Glyph")
def test_the_page_escapes_names_and_needs_no_network(tmp_path):
    lengths = np.array([3, 40, 70])
    summary = pd.DataFrame({"statistic": ["rows"], "value": [3], "recommendation": [""]})
    page = write(tmp_path / "page.html", summary, tables(HOSTILE, lengths), lengths).read_text(encoding="utf-8")
    assert re.findall("<h2>(.*?)</h2>", page) == [
        "Summary",
        "Class distribution",
        "Text lengths in tokens",
        "Languages",
    ]
    assert "&lt;b&gt;&amp;" in page and "<b>&" not in page and "3 rows" in page
    assert page.count("data:image/png;base64,") == 3 and not re.search(r"(src|href)=\"?(https?:)?//", page)
    assert not plt.get_fignums()  # a page closes its figures
    assert all(text.endswith(".") for _, text in HEADINGS.values())
