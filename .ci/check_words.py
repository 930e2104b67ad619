"""Check that strings, docstrings, comments, and pages are in plain American English.

    python .ci/check_words.py            # every tracked .md, .py, .html file
    python .ci/check_words.py FILES

Two checks: a list of phrases that a data scientist would not write (below), and codespell with its US dictionary.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

PHRASES = re.compile(
    r"\b(?:anew|afresh|hitherto|whereby|whoever|stands? (?:in|under|beside)|to be had|in the midst|(?:of|by) one's own|"
    r"parted by|at hand|by turns|per cent|wings?|rungs?|the bars? (?:is|are|of)|takes? → gives?|"
    r"(?:is|are) no (?:file|folder|column|class|name|number|share|part)\b(?! of)|"
    r"(?:labell|modell|cancell|travell)(?:ed|ing)|(?:un)?learnt|spelt|behaviours?|colours?|"
    r"(?:normal|token|quant|standard|optim|regular|recogn|summar|initial|serial)is(?:e|es|ed|ing|ation))\b"
    r"|[\d}] %(?![\w(])|\b1 rows\b",
    re.IGNORECASE,
)
TEXTS = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", None)}  # f-strings are split since 3.12
CODESPELL = ["codespell", "--builtin", "clear,rare,en-GB_to_en-US", "--skip", "data/*,*.jsonl,*.svg,LICENSE"]
MISSPELLED_ON_PURPOSE = ["lable", "valud", "regresion", "contry", "auot", "acuracy"]  # tests of "did you mean"
FOREIGN = ["ist", "paket", "tage", "sie"]  # in examples of texts in other languages
ESCAPED = ["caf"]  # of "caf\u00e9"
IGNORED = ["fo", "ser", "nd", "hist", "te", "fpr", "ans", "alls", "datas", "ue", "mis"]
IGNORED += MISSPELLED_ON_PURPOSE + FOREIGN + ESCAPED


def prose(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and lines of a file; for Python, only strings and comments."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in TEXTS:
            yield from enumerate(token.string.splitlines(), token.start[0])


def problems(file: Path) -> Iterator[str]:
    """Yield the matches of `PHRASES` in a file."""
    for number, text in prose(file):
        for match in PHRASES.finditer(text):
            yield f"{file}:{number}: {match[0]!r} is not plain American English (see CONTRIBUTING.md, Style)"


def main() -> None:
    """Print every problem; exit with 1 if there are any."""
    tracked = subprocess.run(["git", "ls-files", "*.md", "*.py", "*.html"], capture_output=True, text=True, check=True)
    files = [Path(name) for name in sys.argv[1:] or tracked.stdout.splitlines()]
    files = [file for file in files if file.suffix in (".md", ".py", ".html") and file.name != Path(__file__).name]
    bad = [line for file in files if file.exists() for line in problems(file)]
    print("\n".join(bad), end="\n" if bad else "")
    spelled = subprocess.run([*CODESPELL, "--ignore-words-list", ",".join(IGNORED), *map(str, files)])
    sys.exit(1 if bad or spelled.returncode else 0)


if __name__ == "__main__":
    main()
