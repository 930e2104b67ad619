"""A self-contained HTML page of sections: no scripts, and no fonts or images from the network."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kickbert.utils.messages import plural

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --back: #fff; --band: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --back: #0d1117; --band: #151b23; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; color: var(--ink); background: var(--back);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; padding-top: .8rem; border-top: 1px solid var(--line); }
p { margin: .3rem 0 .8rem; color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td:last-child:not(.number) { min-width: 14rem; }
th, td, h1 { unicode-bidi: plaintext; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: .8rem 0; } figure img { width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { figure img { filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen; } }
.headline { font-size: 2.6rem; font-weight: 700; line-height: 1.2; color: var(--ink); margin: .6rem 0; }
@media (max-width: 40rem) {
  table { font-size: .75rem; width: 100%; }
  th, td { padding-right: .25rem; overflow-wrap: anywhere; }
  th { white-space: normal; overflow-wrap: normal; hyphens: auto; }
  td:last-child:not(.number) { min-width: 6rem; }
  td.number { overflow-wrap: normal; }
}
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; } table, figure { break-inside: avoid; } }
"""

WIDTH = 6.6  # inches of a picture at least: a screen's width at 150 dots an inch, and a phone can still be read


@dataclass
class Section:
    """A section of a page; parts that are empty or None are omitted.

    Args:
        title: the heading.
        text: a sentence or two below it.
        table: values of any type; floats are shown with three decimals.
        figure: matplotlib figure; it is closed after rendering.
        max_rows: maximum number of table rows to show.
        markup: HTML whose text is already escaped.
        headline: the most important number, shown first in large type.
        noun: what a row of the table is, singular and plural.
    """

    title: str
    text: str = ""
    table: pd.DataFrame | None = None
    figure: Any = None
    max_rows: int = 30
    markup: str = ""
    headline: str = ""
    noun: tuple[str, str] = ("row", "rows")


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """Render sections as an HTML document.

    Args:
        title: the title of the page.
        lead: a sentence below the title.
        sections: the sections, in order.
    """
    body = "\n".join(map(_section, sections))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{html.escape(title)}</h1>\n<p>{html.escape(lead)}</p>\n{body}\n"
        "</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    parts = [f"<section>\n<h2>{html.escape(section.title)}</h2>"]
    if section.headline:
        parts.append(f'<p class="headline">{html.escape(section.headline)}</p>')
    if section.text:
        parts.append(f"<p>{html.escape(section.text)}</p>")
    if section.figure is not None:
        parts.append(f'<figure><img alt="{html.escape(section.title)}" src="{_data_url(section.figure)}"></figure>')
    if section.table is not None:
        parts.append(_table(section.table, section.max_rows, section.noun))
    if section.markup:
        parts.append(section.markup)
    return "\n".join([*parts, "</section>"])


def _table(frame: pd.DataFrame, max_rows: int, noun: tuple[str, str]) -> str:
    kind = {c: ' class="number"' if pd.api.types.is_numeric_dtype(frame[c]) else "" for c in frame.columns}
    head = "".join(f"<th{kind[c]}>{html.escape(str(c))}</th>" for c in frame.columns)
    rows = [
        "<tr>"
        + "".join(f"<td{k}>{html.escape(cell(v))}</td>" for k, v in zip(kind.values(), row, strict=True))
        + "</tr>"
        for row in frame.head(max_rows).itertuples(index=False, name=None)
    ]
    one, several = (f"more {name}" for name in noun)
    more = f"<p>{plural(len(frame) - max_rows, one, several)}</p>" if len(frame) > max_rows else ""
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>{more}'


def cell(value: Any) -> str:
    """Format a table cell: floats with three decimals, thousands separators, an empty string for NaN.

    >>> cell(0.5), cell(4e-4), cell(1234567), cell(float("nan")), cell("text")
    ('0.500', '0.0004', '1,234,567', '', 'text')
    """
    if isinstance(value, float) or (hasattr(value, "dtype") and getattr(value.dtype, "kind", "") == "f"):
        number = float(value)
        if number != number:
            return ""
        if 0 < abs(number) < 0.001:  # such as a learning rate or a p-value
            return f"{number:.3g}"
        return f"{number:,.3f}" if abs(number) < 1000 else f"{number:,.0f}"
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return str(value)
    return f"{int(value):,}"


def _data_url(figure: Any) -> str:
    """Convert a figure to a data URL, as wide as the page."""
    from matplotlib import pyplot as plt

    png = io.BytesIO()
    width, height = figure.get_size_inches()
    figure.set_size_inches(max(width, WIDTH), height)
    figure.savefig(png, format="png", dpi=150, bbox_inches="tight")
    plt.close(figure)  # otherwise pyplot would keep the figure in memory
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
