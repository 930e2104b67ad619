"""Zero-shot classification with sentence embeddings: a baseline before there are labels.

texts, class names → embeddings (cached) → cosine similarity → a DataFrame like that of `predict_df`
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.preprocessing import normalize

from kickbert.cache.embeddings import NAMED, embed
from kickbert.cache.storage import SHARED, Cache
from kickbert.targets.labels import Labels
from kickbert.text.columns import read_items
from kickbert.utils.messages import plural

TEMPLATES = (NAMED, "{}")
SCALE = 20.0  # multiplies cosines before the softmax, as in the training of sentence-transformers


def zero_shot(
    texts: Any,
    labels: Sequence[str] | Mapping[str, str],
    model: str | Path = "minilm",
    template: str | Sequence[str] = TEMPLATES,
    *,
    prefix: str = "",
    cache: Cache = SHARED,
) -> pd.DataFrame:
    """Assign each text the class with the most similar description, without training.

    Prints the median margin between the two most similar classes. Treat the result as a baseline.

    Args:
        texts: n strings, a Series, or a DataFrame with a column "text".
        labels: at least two class names, or a dict from class name to a description of its texts.
        model: sentence encoder: hub id, folder, or "minilm".
        template: sentence for a class, with "{}" for its name or description; embeddings of several are averaged.
        prefix: put before every text and description, for encoders trained with one ("query: " for e5).
        cache: where embeddings are stored; `embed` and the labeling page share it.
    Returns:
        predicted_label, confidence, and a column `prob_<label>` per class, indexed like `texts` if it has an index.
        Rows without text have missing values.
    Raises:
        ValueError: fewer than two classes, repeated names, an empty description, or a template without "{}".
    """
    descriptions, templates = _checked(labels, [template] if isinstance(template, str) else list(template))
    read, empty = read_items(texts, ["text"])
    sentences = [prefix + sentence.format(text) for text in descriptions.values() for sentence in templates]
    classes = normalize(embed(sentences, model, cache)).reshape(len(descriptions), len(templates), -1).mean(1)
    cosines = normalize(embed([prefix + text for text in read], model, cache)) @ normalize(classes).T
    probs = softmax(SCALE * cosines, axis=1)
    target = Labels(tuple(descriptions))
    index = texts.index if isinstance(texts, (pd.Series, pd.DataFrame)) else pd.RangeIndex(len(read))
    frame = target.frame(probs, target.decide(probs), index)
    frame[empty] = None
    if len(read) and not empty.all():
        print(_summary(cosines[~empty], list(descriptions)))
    return frame


def _checked(labels: Sequence[str] | Mapping[str, str], templates: list[str]) -> tuple[dict[str, str], list[str]]:
    """Check the arguments; returns a description per class and the templates."""
    names = [str(name) for name in labels]
    if len(names) < 2 or len(set(names)) < len(names) or isinstance(labels, str):
        raise ValueError(f"labels={labels!r} must be at least two different class names, such as ['sport', 'business']")
    texts = list(labels.values()) if isinstance(labels, Mapping) else names
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError(f"labels={labels!r} must describe the texts of every class in words")
    if not templates or any(sentence.count("{}") != 1 for sentence in templates):
        raise ValueError(f"template={templates!r} must contain {{}} exactly once, in place of the class")
    return dict(zip(names, texts, strict=True)), templates


def _summary(cosines: np.ndarray, names: list[str]) -> str:
    """Summarize in one line how clear the decisions are."""
    ordered = np.sort(cosines, axis=1)
    margin = np.median(ordered[:, -1] - ordered[:, -2])
    counts = np.bincount(cosines.argmax(1), minlength=len(names))
    largest = counts.argmax()
    return (
        f"zero-shot baseline: median cosine margin {margin:.2f}; largest class {names[largest]!r} with "
        f"{counts[largest]:,} of {plural(len(cosines), 'text')}. A few labels per class will do better"
    )
