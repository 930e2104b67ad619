"""Check the guide without building it: links, anchors, alt texts, API names, and coverage of public names.

    python docs/make_check.py        # prints one line per problem; takes a second or two

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
FILES = {"py", "html", "db", "svg", "json"}  # file extensions, which look like names
SHOWN = ("text", "evaluation", "experiments", "inference")  # packages whose functions people call by name
DRAWS = re.compile(r"\bplot_\w+\(|\.plot\(|\.figures\(")
# Attributes that a fastai Learner has, but not its class.
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
    """Links to missing files or headings, and pictures without alt text."""
    for tag in IMAGE.finditer(plain_of(text)):
        if not (page.parent / tag[1]).exists():
            yield f"picture not found: {tag[1]}"
        if tag[0].startswith("<img") and not re.search(r'\balt="[^"]', tag[0]):
            yield f"picture without alt text: {tag[1]}"
    for picture, alternative, target in LINK.findall(plain_of(text)):
        if picture and not alternative.strip():
            yield f"picture without alt text: {target}"
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        goal = (page.parent / file).resolve() if file else page
        if not goal.exists():
            yield f"link target not found: {target}"
        elif anchor and goal.suffix == ".md" and anchor not in anchors(goal):
            yield f"heading not found: {target}"
    for block in re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```", text, re.M | re.S):
        if DRAWS.search(block) and not re.search(r"^ +alt: \S", block, re.M):
            yield f"cell with a plot but no alt text: {block.strip().splitlines()[-1]}"


def missing_outputs(page: Path, text: str) -> Iterator[str]:
    """Executable pages without a line that says where the page with outputs is; GitHub shows the source."""
    built = f"docs/_build/html/{page.relative_to(DOCS).with_suffix('.html').as_posix()}" if DOCS in page.parents else ""
    if "```{code-cell}" in text and built not in text:
        yield f"no line names the page with outputs, {built}"


@cache
def resolved(name: str) -> bool:
    """Whether `kickbert.<name>` exists; after a class, also its methods and parameters."""
    value: object = kickbert
    for part in name.split("."):
        if part in FILES and inspect.ismodule(value) and not hasattr(value, part):
            return True
        if not hasattr(value, part):
            return inspect.isclass(value) and part in inspect.signature(value).parameters
        value = getattr(value, part)
    return True


def unknown_names(text: str) -> Iterator[str]:
    """API names that do not exist."""
    for name in sorted({match.strip(".") for match in NAME.findall(text)}):
        if not resolved(name):
            yield f"kickbert.{name} does not exist"
    known = set(dir(kickbert.GradualLearner)) | set(dir(kickbert.Predictor)) | MADE
    for owner, method in sorted(set(METHOD.findall("\n".join([*code_of(text), *re.findall(r"`([^`\n]+)`", text)])))):
        if method not in known | FILES | {"save_pretrained", "safetensors", "pkl", "joblib"}:
            yield f"{owner}.{method} does not exist"


def unknown_arguments(text: str) -> Iterator[str]:
    """Keyword arguments that a kickbert function or class does not have, in code blocks and inline code."""
    for source in [*code_of(text), *re.findall(r"`([^`\n]+)`", text)]:
        try:
            tree = ast.parse(source.replace("\\|", "|"))
        except SyntaxError:
            continue  # a file name, a command, or part of a call
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
    return f"{name} has no argument {wrong[0]}=" if wrong else None


def public_names() -> dict[str, list[str]]:
    """Names of each package, and under "" the top-level ones."""
    packages = {name: list(getattr(kickbert, name).__all__) for name in dir(kickbert) if name not in kickbert.__all__}
    return {"": list(kickbert.__all__), **packages}


def unexplained() -> Iterator[str]:
    """Public names missing from the reference; top-level names and functions of `SHOWN` that no page uses."""
    reference = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    uses = "\n".join(
        page.read_text(encoding="utf-8") for part in ("tutorials", "how_to") for page in (DOCS / part).glob("*.md")
    )
    for package, names in public_names().items():
        for name in names:
            path = f"kickbert.{name}" if package == "" or name in kickbert.__all__ else f"kickbert.{package}.{name}"
            if not re.search(rf"\b{re.escape(path)}\b(?!\.)", reference):
                yield f"{path} is not in docs/reference"
            is_function = package in SHOWN and inspect.isfunction(getattr(getattr(kickbert, package), name, None))
            if (package == "" or is_function) and not re.search(rf"\b{name}\b", uses):
                yield f"{path} is in no tutorial or how-to"


def problems() -> list[str]:
    """All problems of the guide, one line each."""
    lines = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for check in (
            broken_links(page, text),
            missing_outputs(page, text),
            unknown_names(text),
            unknown_arguments(text),
        ):
            lines += [f"{page.relative_to(ROOT)}: {message}" for message in check]
    return [*lines, *unexplained()]


if __name__ == "__main__":
    lines = problems()
    print("\n".join(lines) or f"{len(pages())} pages, no problems")
    sys.exit(bool(lines))
