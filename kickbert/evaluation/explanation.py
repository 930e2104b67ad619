"""Explanation of one prediction: a score for each word, as a table, a line in a terminal, or HTML.

`occlusion` computes it from predictions; the methods of `attribution` need the network.
"""

import html
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from kickbert.targets.base import Target
from kickbert.targets.continuous import Continuous

FOR, AGAINST = (213, 94, 0), (0, 114, 178)  # Okabe and Ito's vermilion and blue


def explain(model: Any, text: Any, label: Any = None, method: str | None = None, **options: Any) -> "Explanation":
    """Explain one prediction: which words of a text count for and against a class.

    Args:
        model: a learner or a predictor.
        text: a string, or a tuple or dict for several columns; text beyond the model's limit is ignored. For a model
            that reads columns beside the text, a dict with them.
        label: the class; None for the most probable one.
        method: "gradients" (integrated gradients, the default for a learner), "occlusion" (the only one for a
            predictor), or "rollout".
        options: options of the method, such as `steps` of the integral.
    Returns:
        A score for each word.
    Raises:
        ValueError: an unknown method or class, or a text without words.
    """
    if method is not None:
        options["method"] = method
    return model.explain(text, label, **options)


def class_number(target: Target, label: Any) -> int:
    """Find the number of a class by its name.

    Args:
        target: target of the model.
        label: the class as in the column, or its name as a string.
    Raises:
        ValueError: an unknown class.
    """
    classes = getattr(target, "classes", ())
    if label in classes:
        return classes.index(label)
    if label in target.names:
        return target.names.index(label)
    raise ValueError(f"label={label!r} is not a class. Classes: {target.names}")


def explained_value(target: Target, probs: np.ndarray, output: int) -> float:
    """Look up the explained output: the probability of a class, or the number in its own unit.

    Args:
        target: target of the model.
        probs: probabilities of one row, shape (outputs,).
        output: number of the class; 0 for a number.
    """
    if isinstance(target, Continuous):
        return float(target.inverse_transform(probs.astype(float))[0])
    return float(probs[output])


@dataclass(frozen=True, repr=False)
class Explanation:
    """Attribution scores of the words of a text for one output of a model.

    Args:
        words: words of the text, up to the model's limit.
        scores: score of each word, shape (words,): positive counts for `label`. For rollout, shares of attention.
        label: the class, or the name of the number.
        value: the model's probability of the class, or the number.
        method: how the scores were computed.
        gap: completeness gap of integrated gradients (Sundararajan, Taly and Yan 2017, section 3): how far their sum is
            from the change of the output, `|sum - change| / |change|`.
        columns: score of each column beside the text, compared with an empty cell, on the scale of the words.
    """

    words: list[str]
    scores: np.ndarray
    label: str
    value: float
    method: str
    gap: float | None = None
    columns: dict[str, float] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """The scores as a table (word, score) in the order of the text; the columns beside the text come last."""
        names = [*self.words, *self.columns]
        return pd.DataFrame({"word": names, "score": [*self.scores, *self.columns.values()]})

    def _strength(self) -> np.ndarray:
        """Scores of words, then of columns, as shares of the largest, -1 to 1."""
        scores = np.array([*self.scores, *self.columns.values()])
        return scores / max(1e-12, np.abs(scores).max(initial=0.0))

    def _heading(self) -> str:
        gap = "" if self.gap is None else f", completeness gap {self.gap:.1%}"
        return f"{self.label}: {self.value:.3f} ({self.method}{gap})"

    def __repr__(self) -> str:
        if not sys.stdout.isatty():
            order = np.argsort(-np.abs(self.scores), kind="stable")[:8]
            words = ", ".join(f"{self.words[i]} {self.scores[i]:+.2f}" for i in order)
        else:
            words = " ".join(map(_highlighted, self.words, self._strength()))
        columns = ", ".join(f"{name} {score:+.2f}" for name, score in self.columns.items())
        return f"{self._heading()}\n{words}" + (f"\ncolumns: {columns}" if columns else "")

    def to_html(self) -> str:
        """Render the text with its words marked: orange for, blue against, darker for larger scores.

        Each mark has its score as a tooltip.
        """
        table = self.to_frame()
        marks = [
            f'<mark title="{s:+.3f}" style="color:inherit;border-radius:3px;padding:0 2px;'
            f'background:rgba({",".join(map(str, FOR if s > 0 else AGAINST))},{abs(x):.2f})">{html.escape(w)}</mark>'
            for w, s, x in zip(table["word"], table["score"], 0.75 * self._strength(), strict=True)
        ]
        words = " ".join(marks[: len(self.words)])
        columns = f"<p>columns: {' '.join(marks[len(self.words) :])}</p>" if self.columns else ""
        return f"<p><strong>{html.escape(self._heading())}</strong></p><p>{words}</p>{columns}"

    _repr_html_ = to_html


def _highlighted(word: str, strength: float) -> str:
    """Highlight a word by an ANSI 24-bit background color; words with small scores stay plain."""
    if abs(strength) < 0.1:
        return word
    background = [round(255 - (255 - c) * abs(strength)) for c in (FOR if strength > 0 else AGAINST)]
    return f"\x1b[30;48;2;{';'.join(map(str, background))}m{word}\x1b[0m"
