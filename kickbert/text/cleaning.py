"""Sequences of cleaning steps: chosen by name, saved as JSON, repeated for predictions."""

import json
from collections.abc import Iterable, Sequence

from kickbert.text.cleaning_steps import STEPS, Step
from kickbert.utils.messages import nearest

# A transformer's tokenizer was trained on raw text, so "auto" removes only what readers do not see.
AUTO = ("remove_html", "normalize_unicode", "remove_whitespace")


class Cleaner:
    """A sequence of cleaning steps.

    Args:
        steps: names of steps, functions from text to text, or both; or "auto" for HTML, broken Unicode and white space.
    Raises:
        ValueError: unknown step, or a function that a saved model could not name.

    >>> Cleaner(["remove_html", str.upper])("<b>a lamp</b>")
    'A LAMP'
    """

    def __init__(self, steps: str | Sequence[str | Step] = "auto"):
        if isinstance(steps, str) and steps != "auto":
            raise ValueError(f"cleaning={steps!r} is not 'auto'; for a single step give a list: cleaning=[{steps!r}]")
        self.steps: list[Step] = [_step(step) for step in (AUTO if isinstance(steps, str) else steps)]
        _check_names(self.steps)

    def __call__(self, text: str) -> str:
        for step in self.steps:
            text = step(text)
        return text

    def __repr__(self) -> str:
        return f"Cleaner({self.names})"

    @property
    def names(self) -> list[str]:
        """The names of the steps."""
        return [step.__name__ for step in self.steps]

    def apply(self, texts: Iterable[str]) -> list[str]:
        """Clean texts; repeated texts are cleaned once."""
        texts = list(texts)
        cleaned = {text: self(text) for text in dict.fromkeys(texts)}
        return [cleaned[text] for text in texts]

    def to_json(self) -> str:
        """The names of the steps as JSON."""
        return json.dumps({"cleaning": self.names})

    @classmethod
    def from_json(cls, text: str, functions: Iterable[Step] = ()) -> "Cleaner":
        """Restore a cleaner from the result of `to_json`.

        Args:
            text: the JSON.
            functions: your own functions among the steps; the JSON contains only their names.
        Raises:
            ValueError: a step is neither kickbert's nor one of `functions`.
        """
        own = {function.__name__: function for function in functions}
        names = json.loads(text)["cleaning"]
        if missing := [name for name in names if name not in own and name not in STEPS]:
            raise ValueError(
                f"the model was trained with your cleaning function {missing[0]!r}; pass functions=[{missing[0]}] to "
                f"kickbert.load, or --functions with its module on the command line"
            )
        return cls([own.get(name, name) for name in names])


def _step(step: str | Step) -> Step:
    """Return the function of a cleaning step."""
    if callable(step):
        return step
    if step not in STEPS:
        hint = nearest(step, STEPS, cutoff=0.4) or "."
        raise ValueError(f"step={step!r} is not a cleaning step. Steps: {list(STEPS)}{hint} Or pass your own function.")
    return STEPS[step]


def _check_names(steps: Iterable[Step]) -> None:
    """Check that each name stands for one function, because a saved model contains names only.

    Raises:
        ValueError: a function without a name of its own.
    """
    known = dict(STEPS)
    for step in steps:
        name = getattr(step, "__name__", None)
        if name in (None, "<lambda>"):
            raise ValueError(f"the cleaning step {step!r} has no name to be saved by; define a function with def")
        if known.setdefault(name, step) is not step:
            raise ValueError(f"another cleaning step is named {name!r}; rename your function")
