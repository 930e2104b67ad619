"""User text is drawn verbatim; axes are the ones passed or new ones."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.cbook import is_math_text
from matplotlib.colors import to_rgb

from kickbert.utils.plotting import COLORS, LINES, axes_of, literal

TEXTS = ["$1–2$", "a_b^c", "<b>", r"a\$b$c", "$", "$$", r"\\", "%d {x}", "😀", "שלום"]


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_drawn_verbatim(ax, text):
    assert not is_math_text(literal(text))
    drawn, math = ax.text(0, 0, literal(text))._preprocess_math(literal(text))
    assert drawn == text and math is False


def test_a_text_is_one_short_line():
    assert literal("a\n  b") == "a b" and literal("x" * 1000, width=8) == "x" * 7 + "…" and literal(7) == "7"
    assert (
        literal("$" * 5, width=3) == r"\$\$…"
    )  # shortened before escaping, which would otherwise split an escape sequence


def test_axes_of_a_new_figure_and_those_passed(ax):
    assert axes_of(ax) is ax
    new = axes_of(None, (3, 2))
    assert new is not ax and new.figure.get_size_inches().tolist() == [3, 2]
    plt.close(new.figure)


def test_lines_have_different_colors_and_styles():
    assert len(set(LINES)) == len(set(COLORS)) == 8


@pytest.mark.parametrize("color", COLORS)
def test_colors_are_visible_on_white_and_on_the_dark_page(color):
    def luminance(name: str) -> float:  # WCAG 2.2, relative luminance
        rgb = np.array(to_rgb(name))
        return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    assert 1.05 / (luminance(color) + 0.05) > 2 and (luminance(color) + 0.05) / (luminance("#0d1117") + 0.05) > 3
