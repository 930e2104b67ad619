"""Explanation of one prediction: a score for each word, as a table, a line in a terminal, HTML.

`occlusion` computes it from predictions; the methods of `attribution` need the network.
"""

import html
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kickbert.targets.base import Target

FOR, AGAINST = (213, 94, 0), (0, 114, 178)  # Okabe and Ito's vermilion and blue


def explain(model: Any, text: Any, label: Any = None, method: str | None = None, **options: Any) -> "Explanation":
    """Explain one prediction: which words of a text speak for and against a class.

    Args:
        model: a learner or a predictor.
        text: a string, or for several columns a tuple or dict. Of a text over the model's limit the head is explained.
        label: the class; None for the likeliest.
        method: of a learner "gradients" (integrated gradients), "occlusion" or "rollout"; a predictor knows occlusion
            alone. None for the first of these.
        options: of the method: `steps` of the integral.
    Returns:
        A score for each word, as a table, a line, or HTML.
    Raises:
        ValueError: an unknown method or class, or a text without words.
    """
    return model.explain(text, label, **({} if method is None else {"method": method}), **options)


def class_number(target: Target, label: Any) -> int:
    """Find the number of a class by its name.

    Args:
        target: what is predicted.
        label: the class as it stood in the column, or as it is shown.
    Raises:
        ValueError: no such class.
    """
    if label in getattr(target, "classes", ()):
        return target.classes.index(label)
    if label in target.names:
        return target.names.index(label)
    raise ValueError(f"label={label!r} is no class; classes are {target.names}")


def explained_value(target: Target, probs: np.ndarray, output: int) -> float:
    """Look up the output that is explained: the probability of a class, or the number in its own unit.

    Args:
        target: what is predicted.
        probs: of one row, shape (outputs,).
        output: number of the class; 0 for a number.
    """
    return float(target.inverse_transform(probs.astype(float))[0] if target.is_number else probs[output])


@dataclass(frozen=True, repr=False)
class Explanation:
    """Attribution scores of the words of a text for one output of a model.

    Args:
        words: as they stand in the text, up to the model's limit.
        scores: of each word, shape (words,): above zero speaks for `label`. Rollout gives shares of attention instead.
        label: the class, or the name of the number.
        value: the model's probability of it, or the number.
        method: how the scores were made.
        gap: of integrated gradients, the completeness gap (Sundararajan, Taly and Yan 2017, section 3): how far their
            sum is from the change of the output, `|sum - change| / |change|`.
    """

    words: list[str]
    scores: np.ndarray
    label: str
    value: float
    method: str
    gap: float | None = None

    def to_frame(self) -> pd.DataFrame:
        """The scores as a table: word, score; in the order of the text."""
        return pd.DataFrame({"word": self.words, "score": self.scores})

    def _strength(self) -> np.ndarray:
        """Scores as shares of the largest, -1 to 1."""
        return self.scores / max(1e-12, np.abs(self.scores).max(initial=0.0))

    def _heading(self) -> str:
        gap = "" if self.gap is None else f", completeness gap {self.gap:.1%}"
        return f"{self.label}: {self.value:.3f} ({self.method}{gap})"

    def __repr__(self) -> str:
        if not sys.stdout.isatty():
            order = np.argsort(-np.abs(self.scores), kind="stable")[:8]
            return f"{self._heading()}\n" + ", ".join(f"{self.words[i]} {self.scores[i]:+.2f}" for i in order)
        return f"{self._heading()}\n" + " ".join(map(_coloured, self.words, self._strength()))

    def to_html(self) -> str:
        """Render the text with its words marked, orange for and blue against, the darker the larger the score.

        The scores themselves stand in the titles of the marks.
        """
        marks = [
            f'<mark title="{s:+.3f}" style="color:inherit;border-radius:3px;padding:0 2px;'
            f'background:rgba({",".join(map(str, FOR if s > 0 else AGAINST))},{abs(x):.2f})">{html.escape(w)}</mark>'
            for w, s, x in zip(self.words, self.scores, 0.75 * self._strength(), strict=True)
        ]
        return f"<p><strong>{html.escape(self._heading())}</strong></p><p>{' '.join(marks)}</p>"

    _repr_html_ = to_html


def _coloured(word: str, strength: float) -> str:
    """A word on a ground of its colour, by ANSI's 24-bit sequences; unmarked where it counts little."""
    if abs(strength) < 0.1:
        return word
    ground = [round(255 - (255 - c) * abs(strength)) for c in (FOR if strength > 0 else AGAINST)]
    return f"\x1b[30;48;2;{';'.join(map(str, ground))}m{word}\x1b[0m"
