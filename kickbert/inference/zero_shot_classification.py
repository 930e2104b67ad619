"""Zero-shot classification by sentence embeddings: a start where there is no label yet.

texts, class names → one embedding each, from the cache → cosine → a frame as `predict_df` gives
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

TEMPLATES = (NAMED, "{}")
SCALE = 20.0  # of cosines before the softmax, as sentence-transformers trains its models (a temperature of 0.05)


def zero_shot(
    texts: Any,
    labels: Sequence[str] | Mapping[str, str],
    model: str | Path = "minilm",
    template: str | Sequence[str] = TEMPLATES,
    *,
    prefix: str = "",
    cache: Cache = SHARED,
) -> pd.DataFrame:
    """Classify texts by the class whose description their embedding is nearest to; nothing is trained.

    It is a start, no more: the line that is printed says how far apart its best two classes are.

    Args:
        texts: n strings, a Series, or a DataFrame with a column "text".
        labels: at least two class names; or class names and what a text of each is about.
        model: a sentence encoder: hub id, folder or "minilm".
        template: of the sentence that stands for a class, "{}" for its name or description; of several the mean.
        prefix: before every text and description, for encoders that were trained with one ("query: " for e5).
        cache: where embeddings are kept; `embed` and the page to label on compute none of them again.
    Returns:
        label, confidence, and a column `prob_<label>` for each class, indexed like `texts` where that has an index; a
        row without text gets none.
    Raises:
        ValueError: fewer than two classes, two of one name, an empty description, or a template without "{}".
    """
    descriptions, templates = _checked(labels, [template] if isinstance(template, str) else list(template))
    read, empty = read_items(texts, ["text"])
    sentences = [prefix + form.format(text) for text in descriptions.values() for form in templates]
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
    """The description of each class, and the templates."""
    names = [str(name) for name in labels]
    if len(names) < 2 or len(set(names)) < len(names) or isinstance(labels, str):
        raise ValueError(f"labels={labels!r} must be at least two different class names, such as ['sport', 'business']")
    texts = list(labels.values()) if isinstance(labels, Mapping) else names
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError(f"labels={labels!r} must say for each class what its texts are about, in words")
    if not templates or any(form.count("{}") != 1 for form in templates):
        raise ValueError(f"template={templates!r} must have one {{}} each, where the class stands")
    return dict(zip(names, texts, strict=True)), templates


def _summary(cosines: np.ndarray, names: list[str]) -> str:
    """How sure the nearest class is, in one line."""
    ordered = np.sort(cosines, axis=1)
    gap, counts = np.median(ordered[:, -1] - ordered[:, -2]), np.bincount(cosines.argmax(1), minlength=len(names))
    largest = counts.argmax()
    return (
        f"zero-shot: a start, not a model: the best class is {gap:.2f} of cosine ahead of the second (median), "
        f"{names[largest]!r} has most of them, {counts[largest]:,} of {len(cosines):,}; a few labels will do better"
    )
