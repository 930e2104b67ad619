"""Draw the house: wings by floor, their modules, which wing imports which, and the way that data takes.

    python docs/house.py

Floors are those of the layers contract in setup.cfg; arrows are the imports that stand in the code.
"""

import argparse
import ast
import configparser
import html
import textwrap
from collections import Counter
from itertools import pairwise
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
WIDTH, MARGIN, GAP, LINE, HEAD = 1000, 24, 64, 17, 50  # pixels
WAY = ("text", "targets", "data", "models", "cache", "training", "evaluation", "experiments")
WAY_OUT = ("models", "inference", "serving")
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1b1f24; }
.wing { font-weight: 700; font-size: 16px; } .soft { fill: #57606a; } .room { fill: #f6f8fa; stroke: #d0d7de; }
.import { fill: none; stroke: #8c959f; opacity: .45; } .way { fill: none; stroke: #0072b2; stroke-width: 3; }
.out { fill: none; stroke: #d55e00; stroke-width: 3; stroke-dasharray: 7 4; } .tip { fill: #0072b2; }
.tip-out, .step-out { fill: #d55e00; } .step { fill: #0072b2; }
.mark { fill: #fff; text-anchor: middle; font-weight: 700; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .soft { fill: #9198a1; } .room { fill: #151b23; stroke: #3d444d; }
  .import { stroke: #6e7681; } .way { stroke: #56b4e9; } .tip { fill: #56b4e9; } .mark { fill: #fff; }
}
"""


def floors() -> list[list[str]]:
    """The wings of each floor, the highest first."""
    config = configparser.ConfigParser()
    config.read(REPO / "setup.cfg", encoding="utf-8")
    lines = config["importlinter:contract:wings"]["layers"].split("\n")
    return [[name.strip().removeprefix("kickbert.") for name in line.split("|")] for line in lines if line.strip()]


def imports(wing: str) -> Counter:
    """How many imports of each other wing the modules of a wing have."""
    counts: Counter = Counter()
    for file in (REPO / "kickbert" / wing).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            parts = node.module.split(".") if isinstance(node, ast.ImportFrom) and node.module else []
            if parts[:1] == ["kickbert"] and len(parts) > 1 and parts[1] != wing:
                counts[parts[1]] += 1
    return counts


def modules(wing: str) -> str:
    """The names of a wing's modules."""
    return ", ".join(sorted(file.stem for file in (REPO / "kickbert" / wing).glob("[!_]*.py")))


def sentence(wing: str) -> str:
    """What a wing takes and gives: the first line of its docstring, without its name."""
    tree = ast.parse((REPO / "kickbert" / wing / "__init__.py").read_text(encoding="utf-8"))
    return (
        ast.get_docstring(tree).splitlines()[0].replace("`", "").partition(": ")[2]
        or ast.get_docstring(tree).splitlines()[0]
    )


def rooms() -> tuple[dict[str, tuple[int, int, int, int]], dict[str, list[str]], int]:
    """Place and size of each wing, the lines of text in it, and the height of the house."""
    places, texts, top = {}, {}, MARGIN
    for floor in floors():
        width = (WIDTH - 2 * MARGIN - GAP * (len(floor) - 1)) // len(floor)
        for wing in floor:
            chars = width // 8
            texts[wing] = [*textwrap.wrap(sentence(wing), chars), "", *textwrap.wrap(modules(wing), chars)]
        height = HEAD + LINE * max(len(texts[wing]) for wing in floor)
        for i, wing in enumerate(floor):
            places[wing] = (MARGIN + i * (width + GAP), top, width, height)
        top += height + GAP
    return places, texts, top - GAP + MARGIN


def arrow(start: tuple[int, int, int, int], end: tuple[int, int, int, int], shift: int) -> str:
    """A path from the edge of one room to the edge of another: sideways on one floor, else straight up or down."""
    (x, y, w, h), (u, v, m, n) = start, end
    if y == v:
        left, right = (x + w, u) if x < u else (x, u + m)
        return f"M{left} {y + h // 2 + shift} L{right} {v + n // 2 + shift}"
    middle, target = x + w // 2 + shift, u + m // 2 + shift
    begin, stop = (y, v + n) if v < y else (y + h, v)
    return f"M{middle} {begin} C{middle} {(begin + stop) // 2} {target} {(begin + stop) // 2} {target} {stop}"


def draw() -> str:
    """The picture as SVG."""
    places, texts, height = rooms()
    tips = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" markerHeight="5" orient="auto">'
        f'<path class="{name}" d="M0 0L8 4L0 8z"/></marker>'
        for name in ("tip", "tip-out")
    )
    title = "The wings of kickbert by floor, and the way data takes through them"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">',
        f"<title>{title}</title><style>{STYLE}</style><defs>{tips}</defs>",
    ]
    for wing, place in places.items():
        for other, count in sorted(imports(wing).items()):
            if other in places and other != "utils":
                line = arrow(place, places[other], 0)
                parts.append(f'<path class="import" stroke-width="{min(5, 1 + count // 6)}" d="{line}"/>')
    for way, kind, tip, shift in ((WAY, "way", "tip", -60), (WAY_OUT, "out", "tip-out", 60)):
        for a, b in pairwise(way):
            parts.append(f'<path class="{kind}" marker-end="url(#{tip})" d="{arrow(places[a], places[b], shift)}"/>')
    for wing, (x, y, w, h) in places.items():
        parts.append(f'<rect class="room" x="{x}" y="{y}" width="{w}" height="{h}" rx="8"/>')
        parts.append(f'<text class="wing" x="{x + 14}" y="{y + 25}">{wing}/</text>')
        parts += [
            f'<text class="{"soft" if i > texts[wing].index("") else ""}" x="{x + 14}" y="{y + 28 + LINE * (i + 1)}">'
            f"{html.escape(line)}</text>"
            for i, line in enumerate(texts[wing])
        ]
    for way, kind, marks in ((WAY, "step", "12345678"), (WAY_OUT[1:], "step-out", "AB")):
        for wing, mark in zip(way, marks, strict=True):
            x, y, w, _ = places[wing]
            parts.append(f'<circle class="{kind}" cx="{x + w - 24}" cy="{y + 21}" r="12"/>')
            parts.append(f'<text class="mark" x="{x + w - 24}" y="{y + 26}">{mark}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=REPO / "docs" / "house.svg")
    parser.parse_args().out.write_text(draw(), encoding="utf-8")
