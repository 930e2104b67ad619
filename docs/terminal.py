"""Write an animated picture of the main job in a terminal, at the pace of its output.

    python docs/terminal.py           # a minute on two cores; writes docs/terminal.svg

The picture has light and dark colors and plays once; with reduced motion it shows the last frame.
"""

import os
import subprocess
import sys
import tempfile
import time
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = "python examples/kickstarter.py"
WIDTH, LINE, TOP = 980, 17, 46  # pixels
LONGEST = 132  # characters per line
FAST = 3  # playback speed
STYLE = """
  .ground { fill: #f6f8fa; stroke: #d0d7de } .line { fill: #1f2328; opacity: 0; animation: shown 0.01s forwards }
  .typed { fill: #0969da }
  text { font: 11.6px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #30363d } .line { fill: #c9d1d9 } .typed { fill: #58a6ff }
  }
  @keyframes shown { to { opacity: 1 } }
  @media (prefers-reduced-motion: reduce) { .line { animation-delay: 0s !important } }
"""


def recorded() -> list[tuple[float, str]]:
    """The lines that the main job prints, and the second of each."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-u", *COMMAND.split()[1:], "--out", str(Path(scratch) / "ladder.png")]
        quiet = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
        start, lines = time.perf_counter(), []
        with subprocess.Popen(command, cwd=ROOT, env=quiet, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                lines.append((time.perf_counter() - start, line.rstrip().replace(f"{scratch}/", "")))
    if process.returncode:
        raise SystemExit(f"{COMMAND} ended with {process.returncode}")
    return lines


def drawn(lines: list[tuple[float, str]]) -> str:
    """The picture as SVG."""
    shown = [(0.0, f"$ {COMMAND}", "line typed")]
    shown += [(1 + seconds / FAST, line[:LONGEST], "line") for seconds, line in lines]
    height = TOP + LINE * len(shown)
    texts = "".join(
        f'  <text class="{kind}" x="20" y="{TOP + LINE * i}" style="animation-delay: {at:.2f}s">{escape(line)}</text>\n'
        for i, (at, line, kind) in enumerate(shown)
    )
    dots = "".join(
        f'<circle cx="{22 + 18 * i}" cy="18" r="5.5" fill="{color}"/>'
        for i, color in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">\n'
        f"<title>{COMMAND} in a terminal, at {FAST} times its speed</title>\n<style>{STYLE}</style>\n"
        f'  <rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>\n'
        f"  {dots}\n{texts}</svg>\n"
    )


if __name__ == "__main__":
    (ROOT / "docs" / "terminal.svg").write_text(drawn(recorded()), encoding="utf-8")
