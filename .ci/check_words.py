"""Check that strings, docstrings, comments, and pages are in plain American English.

    python .ci/check_words.py            # every tracked page, script, and configuration file
    python .ci/check_words.py FILES

Two checks: a list of phrases that a data scientist would not write (below), and codespell with its US dictionary.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path

GAP = r"""(?:[\s#]|["']\s*[fr]?["'])+"""  # a line break, also in a comment or between the parts of a string
PHRASES = re.compile(
    r"\b(?:anew|afresh|hitherto|whereby|whoever|stands? (?:in|under|beside)|to be had|in the midst|(?:of|by) one's own|"
    r"parted by|at hand|by turns|per cent|wings?|rungs?|the bars? (?:is|are|of)|takes? → gives?|"
    r"(?:is|are) no (?:file|folder|column|class|name|number|share|part)\b(?! of)|"
    r"(?:labell|modell|cancell|travell)(?:ed|ing)|(?:un)?learnt|spelt|behaviours?|colours?|"
    r"(?:normal|token|quant|standard|optim|regular|recogn|summar|initial|serial)is(?:e|es|ed|ing|ation))\b"
    r"|[\d}] %(?![\w(])|\b1 rows\b".replace(" ", GAP),
    re.IGNORECASE,
)
TEXTS = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", None)}  # f-strings are split since 3.12
CODESPELL = ["codespell", "--builtin", "clear,rare,en-GB_to_en-US", "--skip", "data/*,*.jsonl,*.svg,LICENSE"]
FILES = ["*.md", "*.py", "*.html", "*.cfg", "*.toml", "*.yml", "*.yaml", "*.cff", "Dockerfile", ".ci/run"]
MISSPELLED_ON_PURPOSE = ["lable", "valud", "regresion", "contry", "auot", "acuracy"]  # tests of "did you mean"
FOREIGN = ["ist", "paket", "tage", "sie"]  # in examples of texts in other languages
ESCAPED = ["caf"]  # of "caf\u00e9"
IGNORED = ["fo", "ser", "nd", "hist", "te", "fpr", "ans", "alls", "datas", "ue", "mis"]
IGNORED += MISSPELLED_ON_PURPOSE + FOREIGN + ESCAPED


def prose(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the first line number and the text of a file; for Python, of each string and each block of comments."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        yield 1, text
        return
    tokens = (token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type != tokenize.NL)
    for is_text, group in groupby(tokens, lambda token: token.type in TEXTS):
        if is_text:
            parts = list(group)
            gaps = ["\n" * (part.start[0] - before.end[0]) for before, part in pairwise(parts)]
            yield parts[0].start[0], "".join(gap + part.string for gap, part in zip(["", *gaps], parts, strict=True))


def problems(file: Path) -> Iterator[str]:
    """Yield the matches of `PHRASES` in a file."""
    for first, text in prose(file):
        for match in PHRASES.finditer(text):
            number = first + text.count("\n", 0, match.start())
            yield f"{file}:{number}: {match[0]!r} is not plain American English (see CONTRIBUTING.md, Style)"


def main() -> None:
    """Print every problem; exit with 1 if there are any."""
    tracked = subprocess.run(["git", "ls-files", *FILES], capture_output=True, text=True, check=True).stdout
    files = [Path(name) for name in sys.argv[1:] or tracked.splitlines() if Path(name).name != Path(__file__).name]
    bad = [line for file in files if file.exists() for line in problems(file)]
    print("\n".join(bad), end="\n" if bad else "")
    spelled = subprocess.run([*CODESPELL, "--ignore-words-list", ",".join(IGNORED), *map(str, files)])
    sys.exit(1 if bad or spelled.returncode else 0)


if __name__ == "__main__":
    main()
