"""A page of sections: escaped, self-contained, with a limited number of table rows."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from kickbert.utils.html_page import Section, cell, page


def test_cells_are_escaped_and_rows_limited():
    table = pd.DataFrame({"<text>": ["<b>bold</b>"] * 40, "n": range(40), "share": 0.25})
    html = page("A & B", "<lead>", [Section("<S>", "<i>", table=table)])
    assert "&lt;b&gt;bold" in html and "<b>bold" not in html and "10 more rows" in html and "A &amp; B" in html
    assert (
        "&lt;text&gt;</th>" in html and "&lt;lead&gt;" in html and "&lt;S&gt;</h2>" in html and "<p>&lt;i&gt;" in html
    )
    assert ">7</td>" in html and ">0.250</td>" in html


def test_markup_is_verbatim_and_empty_parts_are_omitted():
    html = page("T", "", [Section("S", markup="<mark>x</mark>")])
    assert "<mark>x</mark>" in html and "<table" not in html and "<img" not in html


def test_a_figure_is_in_the_page_and_closed():
    figure, ax = plt.subplots()
    ax.plot([1, 2])
    html = page("T", "", [Section('a "plot"', figure=figure)])
    assert 'alt="a &quot;plot&quot;" src="data:image/png;base64,' in html
    assert figure.number not in plt.get_fignums()


def test_formatted_numbers():
    values = (0.5, 4e-4, 1e-7, -0.00001, 0.0, 1234.5, np.float32(0.25), np.nan, np.int64(1200), True, None)
    shown = ["0.500", "0.0004", "1e-07", "-1e-05", "0.000", "1,234", "0.250", "", "1,200", "True", "None"]
    assert [cell(value) for value in values] == shown


def test_right_to_left_text_keeps_its_direction():
    assert "td, h1 { unicode-bidi: plaintext; }" in page("שלום", "", [])


def test_figures_are_dark_on_a_dark_page():
    html = page("T", "", [])
    dark = html[html.index("figure img {") :]
    assert "@media (prefers-color-scheme: dark) { figure img { filter: invert(1)" in dark
