"""Check the guide without building it: links, anchors, alternative texts, names of the API and where each is explained.

    python docs/make_check.py        # prints what is wrong, a line each; a second or two

The tests run it.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import kickbert

DOCS = Path(__file__).parent
ROOT = DOCS.parent
FENCE = re.compile(r"^(`{3,}|:{3,})[^\n]*\n.*?^\1\s*$", re.M | re.S)
CODE = re.compile(r"^```(?:\{code-cell\} ipython3|python)\n(.*?)^```\s*$", re.M | re.S)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
IMAGE = re.compile(r"<(?:img|source)\b[^>]*?\b(?:src|srcset)=\"([^\"]+)\"[^>]*>")
NAME = re.compile(r"\bkickbert((?:\.[A-Za-z_]\w*)+)")
METHOD = re.compile(r"\b(learn|model|student|predictor)\.([a-z]\w*)")
FILES = {"py", "html", "db", "svg", "json"}  # endings of files, which read like names
SHOWN = ("text", "evaluation", "experiments", "inference")  # wings whose functions people call by name
DRAWS = re.compile(r"\bplot_\w+\(|\.plot\(|\.figures\(")
# Attributes that a fastai Learner has once it is made, and not its class.
MADE = {"cache", "dls", "history", "ladder", "loss_func", "model", "path", "recorder", "seed"}


def pages() -> list[Path]:
    """The pages of the guide, and the texts at the root that link to them."""
    guide = [page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts]
    return [*guide, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md") if (ROOT / name).exists())]


def code_of(text: str) -> list[str]:
    """The Python of a page, a string for each cell or block, without options and shell lines."""
    return [re.sub(r"\A---\n[\s\S]*?^---\n|^:\w+:.*\n|^!.*$", "", block, flags=re.M) for block in CODE.findall(text)]


def plain_of(text: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", text)


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as MyST and GitHub make them; those of a file that it includes are its own."""
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"```\{include\} (\S+)", text):
        text += (page.parent / name).read_text(encoding="utf-8")
    headings = re.findall(r"^#{1,4} (.+)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> Iterator[str]:
    """Links to files that are not there, to headings that are not there, and pictures that nothing is said of."""
    for tag in IMAGE.finditer(plain_of(text)):
        if not (page.parent / tag[1]).exists():
            yield f"{tag[1]} is shown and is not there"
        if tag[0].startswith("<img") and not re.search(r'\balt="[^"]', tag[0]):
            yield f"the picture {tag[1]} has no alternative text"
    for picture, alternative, target in LINK.findall(plain_of(text)):
        if picture and not alternative.strip():
            yield f"the picture {target} has no alternative text"
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        goal = (page.parent / file).resolve() if file else page
        if not goal.exists():
            yield f"{target} is linked and is not there"
        elif anchor and goal.suffix == ".md" and anchor not in anchors(goal):
            yield f"{target} is linked, and {goal.name} has no such heading"
    for block in re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```", text, re.M | re.S):
        if DRAWS.search(block) and not re.search(r"^ +alt: \S", block, re.M):
            yield f"a cell draws and has no alternative text: {block.strip().splitlines()[-1]}"


@cache
def resolved(name: str) -> bool:
    """Whether `kickbert.<name>` is there; after a class its methods and what its instances are made with."""
    value: object = kickbert
    for part in name.split("."):
        if part in FILES and inspect.ismodule(value) and not hasattr(value, part):
            return True
        if not hasattr(value, part):
            return inspect.isclass(value) and part in inspect.signature(value).parameters
        value = getattr(value, part)
    return True


def unknown_names(text: str) -> Iterator[str]:
    """Names of the API that are spelt wrong."""
    for name in sorted({found.strip(".") for found in NAME.findall(text)}):
        if not resolved(name):
            yield f"kickbert.{name} is not there"
    known = set(dir(kickbert.GradualLearner)) | set(dir(kickbert.Predictor)) | MADE
    for owner, method in sorted(set(METHOD.findall("\n".join([*code_of(text), *re.findall(r"`([^`\n]+)`", text)])))):
        if method not in known | FILES | {"save_pretrained", "safetensors", "pkl", "joblib"}:
            yield f"{owner}.{method} is not there"


def unknown_arguments(text: str) -> Iterator[str]:
    """Keyword arguments that a function or a class of kickbert does not take, in blocks of code and within lines."""
    for source in [*code_of(text), *re.findall(r"`([^`\n]+)`", text)]:
        try:
            tree = ast.parse(source.replace("\\|", "|"))
        except SyntaxError:
            continue  # a name of a file, a command, a piece of a call
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if message := _unknown_argument(call):
                yield message


def _unknown_argument(call: ast.Call) -> str | None:
    name = ast.unparse(call.func)
    owner, _, method = name.rpartition(".")
    if owner == "learn":
        function = getattr(kickbert.GradualLearner, method, None)
    elif name.startswith("kickbert.") and resolved(name.removeprefix("kickbert.")):
        function = kickbert
        for part in name.split(".")[1:]:
            function = getattr(function, part)
    else:
        return None
    if not callable(function):
        return None
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    wrong = [k.arg for k in call.keywords if k.arg and k.arg not in parameters]
    return f"{name} takes no {wrong[0]}=" if wrong else None


def public_names() -> dict[str, list[str]]:
    """The names of each wing, and under "" those at the top."""
    wings = {wing: list(getattr(kickbert, wing).__all__) for wing in dir(kickbert) if wing not in kickbert.__all__}
    return {"": list(kickbert.__all__), **wings}


def unexplained() -> Iterator[str]:
    """Public names that the reference lacks; names at the top and functions of `SHOWN` that no page shows in use."""
    reference = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    uses = "\n".join(
        page.read_text(encoding="utf-8") for part in ("tutorials", "how_to") for page in (DOCS / part).glob("*.md")
    )
    for wing, names in public_names().items():
        for name in names:
            path = f"kickbert.{name}" if wing == "" or name in kickbert.__all__ else f"kickbert.{wing}.{name}"
            if not re.search(rf"\b{re.escape(path)}\b(?!\.)", reference):
                yield f"{path} is not in docs/reference"
            used = wing == "" or (wing in SHOWN and inspect.isfunction(getattr(getattr(kickbert, wing), name, None)))
            if used and not re.search(rf"\b{name}\b", uses):
                yield f"{path} is in no tutorial and in no how-to"


def problems() -> list[str]:
    """All that is wrong with the guide, a line each."""
    lines = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for check in (broken_links(page, text), unknown_names(text), unknown_arguments(text)):
            lines += [f"{page.relative_to(ROOT)}: {message}" for message in check]
    return [*lines, *unexplained()]


if __name__ == "__main__":
    found = problems()
    print("\n".join(found) or f"{len(pages())} pages, nothing wrong")
    sys.exit(bool(found))
