"""Cleaning steps in a row: chosen by name, saved as JSON, replayed when predicting."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from kickbert.text.cleaning_steps import (
    Step,
    convert_to_lowercase,
    discard_non_alpha,
    lemmas,
    normalize_unicode,
    remove_emoji,
    remove_html,
    remove_http,
    remove_punctuation,
    remove_stopwords,
    remove_whitespace,
    text_lemmatizer,
)
from kickbert.utils.messages import nearest

STEPS: dict[str, Step] = {
    f.__name__: f
    for f in (
        convert_to_lowercase, remove_whitespace, remove_punctuation, remove_html, remove_emoji, remove_http,
        remove_stopwords, discard_non_alpha, text_lemmatizer, normalize_unicode,
    )
}  # fmt: skip
PRESETS = {
    # A transformer's tokenizer was trained on text as people write it: only what no reader would see goes.
    "auto": ("remove_html", "normalize_unicode", "remove_whitespace"),
    # What is done for bags of words; benchmarks/studies.py measures what it costs a transformer.
    "heavy": (
        "remove_html", "normalize_unicode", "remove_http", "remove_emoji", "convert_to_lowercase", "remove_punctuation",
        "remove_stopwords", "discard_non_alpha", "text_lemmatizer",
    ),
}  # fmt: skip


class Cleaner:
    """Cleaning steps in a row.

    Args:
        steps: names of steps, functions from text to text, or both; or the name of a preset, "auto" or "heavy".
    Raises:
        ValueError: an unknown name; the nearest is offered.

    >>> Cleaner(["remove_html", str.upper])("<b>a lamp</b>")
    'A LAMP'
    """

    def __init__(self, steps: str | Sequence[str | Step] = "auto"):
        if isinstance(steps, str):
            steps = PRESETS.get(steps) or _unknown(steps, PRESETS, "cleaning", "preset")
        self.steps = [step if callable(step) else STEPS.get(step) or _unknown(step) for step in steps]

    def __call__(self, text: str) -> str:
        for step in self.steps:
            text = step(text)
        return text

    def __repr__(self) -> str:
        return f"Cleaner({self.names})"

    @property
    def names(self) -> list[str]:
        """The names of the steps."""
        return [getattr(step, "__name__", repr(step)) for step in self.steps]

    def apply(self, texts: Iterable[str]) -> list[str]:
        """Clean many texts: each different one once, step by step."""
        texts = list(texts)
        unique = list(dict.fromkeys(texts))
        done = unique
        for step in self.steps:
            done = list(lemmas(done) if step is text_lemmatizer else map(step, done))
        cleaned = dict(zip(unique, done, strict=True))
        return [cleaned[text] for text in texts]

    def to_json(self) -> str:
        """The steps as JSON: their names."""
        return json.dumps({"cleaning": self.names})

    @classmethod
    def from_json(cls, text: str, functions: Iterable[Step] = ()) -> "Cleaner":
        """The cleaner that `to_json` wrote.

        Args:
            text: the JSON.
            functions: steps of your own among them; code is never read from the JSON.
        Raises:
            ValueError: a step that is neither kickbert's nor one of `functions`.
        """
        own = {f.__name__: f for f in functions}
        return cls([own.get(name) or STEPS.get(name) or _unknown(name) for name in json.loads(text)["cleaning"]])


def _unknown(name: Any, known: Iterable[str] = STEPS, argument: str = "step", what: str = "cleaning step") -> Any:
    hint = nearest(name, known, cutoff=0.4) or "."
    raise ValueError(
        f"{argument}={name!r} is no {what}; there are {list(known)}{hint} A function of your own is passed as it is"
    )
