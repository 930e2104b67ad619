"""Which texts to label next: strategies of scikit-activeml over our probabilities and embeddings, and a cold start.

probabilities, embeddings → a ranking of the texts without a label → those that are no near duplicates
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import MiniBatchKMeans
from sklearn.preprocessing import normalize

from kickbert.labeling.classifier import C
from kickbert.models.protocol import is_model
from kickbert.text.columns import read_items
from kickbert.text.duplicates import NearDuplicates
from kickbert.utils.extras import require
from kickbert.utils.messages import nearest

SCORES = {"breaking_ties": "margin_sampling", "entropy": "entropy", "least_confidence": "least_confident"}
STRATEGIES = (*SCORES, "core_set", "badge", "discriminative", "random")
DRAWN = 2_000  # candidates that the dearer strategies choose from, drawn at random: they take memory for each class


def query(
    model: Any,
    pool: pd.DataFrame | Sequence[str],
    n: int,
    strategy: str = "breaking_ties",
    *,
    labelled: Sequence[int] = (),
    embeddings: np.ndarray | None = None,
    text_col: str | Sequence[str] = "text",
    seed: int = 0,
) -> np.ndarray:
    """Choose texts to label.

    Args:
        model: a learner or predictor; or what it gives for the pool: probabilities, shape (rows, classes), or the frame
            of `predict_df` or `zero_shot`. None where nothing is known yet: then one text of each of `n` clusters.
        pool: the rows, or texts.
        n: how many are wanted.
        strategy: "breaking_ties" (Luo et al. 2005; also called margin sampling), "entropy" or "least_confidence"
            (Settles 2009, section 3.1), "core_set" (Sener and Savarese 2018), "badge" (Ash et al. 2020),
            "discriminative" (Gissin and Shalev-Shwartz 2019), or "random".
        labelled: positions of rows that have a label: they are not asked again, nor is what is nearly the same.
        embeddings: of the pool, shape (rows, width), for the strategies that look at distances; None for
            `kickbert.cache.embed`.
        text_col: of a pool without a model that knows its columns.
        seed: of what is drawn.
    Returns:
        Positions in the pool, int64, shape (at most n,), the most wanted first: `pool.iloc[query(...)]`.
    Raises:
        ValueError: an unknown strategy, or probabilities of other rows.
        ImportError: the extra `kickbert[label]` is not installed.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy!r} is not one of {list(STRATEGIES)}{nearest(strategy, STRATEGIES)}")
    columns = model.text_col if is_model(model) else [text_col] if isinstance(text_col, str) else list(text_col)
    texts = read_items(pool, columns)[0]
    probabilities = None if model is None else _probabilities(model, pool)
    if probabilities is not None and len(probabilities) != len(texts):
        raise ValueError(f"there are probabilities of {len(probabilities)} rows, and {len(texts)} rows in the pool")
    if embeddings is None and (model is None or strategy in ("core_set", "badge", "discriminative")):
        from kickbert.cache.embeddings import embed

        embeddings = embed(texts)
    known, free = NearDuplicates(), np.setdiff1d(np.arange(len(texts)), np.asarray(labelled, dtype=np.int64))
    for i in labelled:
        known.add(texts[i])
    if model is None:
        order = free[cold_start(embeddings[free], 2 * n, seed=seed)].tolist()
    else:
        order = rank(probabilities, free, 2 * n, strategy, embeddings, labelled, seed)
    return _distinct(order, texts, known, n)


def _probabilities(model: Any, pool: Any) -> np.ndarray:
    if is_model(model):
        return model.predict_proba(pool)
    return model.filter(like="prob_").to_numpy(float) if isinstance(model, pd.DataFrame) else np.asarray(model)


def rank(
    probabilities: np.ndarray,
    candidates: np.ndarray,
    n: int,
    strategy: str = "breaking_ties",
    embeddings: np.ndarray | None = None,
    labelled: Sequence[int] = (),
    seed: int = 0,
) -> Iterator[int]:
    """Candidates, the most wanted first: `n` of them at least, as far as there are so many.

    Args:
        probabilities: of all rows, shape (rows, classes); rows that do not sum to 1 are of several labels.
        candidates: positions of rows without a label.
        embeddings: of all rows; `labelled`: positions of those with a label. For the strategies that need them.
    """
    rng = np.random.default_rng(seed)
    if not len(candidates):
        return
    if strategy == "random":
        yield from rng.permutation(candidates).tolist()
    elif strategy in SCORES:
        order = np.argsort(-_uncertainty(probabilities[candidates], SCORES[strategy]), kind="stable")
        yield from candidates[order].tolist()
    else:
        drawn = candidates if len(candidates) <= DRAWN else np.sort(rng.choice(candidates, DRAWN, replace=False))
        rows = np.concatenate([drawn, np.asarray(labelled, dtype=np.int64)])
        known = np.concatenate([np.full(len(drawn), np.nan), np.zeros(len(labelled))])
        chosen = _batch(normalize(embeddings[rows]), known, probabilities[drawn], min(n, len(drawn)), strategy, seed)
        yield from (int(rows[i]) for i in chosen)


def _uncertainty(probabilities: np.ndarray, method: str) -> np.ndarray:
    """scikit-activeml's scores, shape (rows,); of several labels, that of the least certain one."""
    require("skactiveml", extra="label")
    from skactiveml.pool import uncertainty_scores

    if np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        return uncertainty_scores(probabilities / probabilities.sum(axis=1, keepdims=True), method=method)
    labels = [uncertainty_scores(np.stack([1 - p, p], axis=1), method=method) for p in probabilities.T]
    return np.max(labels, axis=0)


def _batch(x: np.ndarray, y: np.ndarray, probabilities: np.ndarray, n: int, strategy: str, seed: int) -> Iterable[int]:
    """Places in `x` of rows without a label, by a strategy that looks at all of a batch together.

    Args:
        x: normalised embeddings, of candidates and then of rows with a label.
        y: NaN for candidates, 0 for the others.
        probabilities: of the candidates.
    """
    require("skactiveml", extra="label")
    from skactiveml.base import SkactivemlClassifier
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge, CoreSet, DiscriminativeAL
    from sklearn.linear_model import LogisticRegression

    class Fitted(SkactivemlClassifier):
        """Says the probabilities that are there already."""

        def fit(self, X, y, sample_weight=None):  # noqa: N803 - the library's names
            return self

        def predict_proba(self, X):  # noqa: N803
            return probabilities

    if strategy == "core_set":
        return CoreSet(random_state=seed).query(x, y, batch_size=n)
    if strategy == "badge":
        return Badge(random_state=seed).query(x, y, Fitted(), fit_clf=False, batch_size=n)
    discriminator = SklearnClassifier(LogisticRegression(C=C), classes=[0, 1], random_state=seed)
    return DiscriminativeAL(random_state=seed).query(x, y, discriminator, batch_size=n)


def cold_start(embeddings: np.ndarray, n: int, probabilities: np.ndarray | None = None, seed: int = 0) -> list[int]:
    """Rows to begin with, so that the first few are of several classes.

    Args:
        embeddings: shape (rows, width).
        probabilities: of a zero-shot classifier, shape (rows, classes); then the surest rows of each class in turn.
            None for the middles of `n` clusters (k-means), in a random order.
    Returns:
        Positions of n rows, or of all where there are fewer.
    """
    rng, n = np.random.default_rng(seed), min(n, len(embeddings))
    if probabilities is not None:
        best = np.argsort(-probabilities, axis=0, kind="stable")
        turns = best[:, rng.permutation(best.shape[1])].reshape(-1)  # the surest of each class, then the second, …
        return list(dict.fromkeys(turns.tolist()))[:n]
    if n == 0:
        return []
    x = normalize(embeddings)
    clusters = MiniBatchKMeans(n, n_init=1, random_state=seed).fit(x)
    middles = [int(i) for i in np.argmax(clusters.cluster_centers_ @ x.T, axis=1)]
    return rng.permutation(list(dict.fromkeys(middles))).tolist()


def _distinct(order: Iterable[int], texts: Sequence[str], known: NearDuplicates, n: int) -> np.ndarray:
    """The first `n` of an order that are nearly the same as none before, int64."""
    chosen: list[int] = []
    for i in order:
        if len(chosen) == n:
            break
        if not known.has_like(texts[i]):
            known.add(texts[i])
            chosen.append(i)
    return np.array(chosen, dtype=np.int64)
