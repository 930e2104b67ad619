"""Choose the next texts to label: scikit-activeml's strategies on our probabilities and embeddings, and a cold start.

probabilities, embeddings → a ranking of the unlabeled texts → those that are not near duplicates
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
BATCHES = ("core_set", "badge", "discriminative")  # choose all texts of a batch together, by their embeddings
STRATEGIES = (*SCORES, *BATCHES, "random")
MAX_CANDIDATES = 2_000  # for batch strategies, drawn at random: they need memory per class


def query(
    model: Any,
    pool: pd.DataFrame | Sequence[str],
    n: int,
    strategy: str = "breaking_ties",
    *,
    labeled: Sequence[int] = (),
    embeddings: np.ndarray | None = None,
    text_col: str | Sequence[str] = "text",
    seed: int = 0,
) -> np.ndarray:
    """Choose texts to label.

    Args:
        model: A learner or predictor; or its output for the pool: probabilities, shape (rows, classes), or the
            DataFrame of `predict_df` or `zero_shot`. None if nothing is known yet: one text from each of `n` clusters.
        pool: Rows or texts.
        n: Number of texts to choose.
        strategy: "breaking_ties" (Luo et al. 2005; also called margin sampling), "entropy" or "least_confidence"
            (Settles 2009, section 3.1), "core_set" (Sener and Savarese 2018), "badge" (Ash et al. 2020),
            "discriminative" (Gissin and Shalev-Shwartz 2019), or "random".
        labeled: Positions of labeled rows: neither they nor their near duplicates are chosen.
        embeddings: Embeddings of the pool, shape (rows, width), for strategies that compare texts; None to compute
            them by `kickbert.cache.embed`.
        text_col: Text columns of the pool, if the model does not know them.
        seed: Seed of random choices.
    Returns:
        Positions in the pool, int64, shape (at most n,), the most wanted first: `pool.iloc[query(...)]`.
    Raises:
        ValueError: The strategy is unknown, or the probabilities belong to other rows.
        ImportError: The extra `kickbert[label]` is not installed.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy!r} is not one of {list(STRATEGIES)}{nearest(strategy, STRATEGIES)}")
    columns = model.text_col if is_model(model) else [text_col] if isinstance(text_col, str) else list(text_col)
    texts = read_items(pool, columns)[0]
    if embeddings is None and (model is None or strategy in BATCHES):
        from kickbert.cache.embeddings import embed

        embeddings = embed(texts)
    free = np.setdiff1d(np.arange(len(texts)), np.asarray(labeled, dtype=np.int64))
    if model is None:
        assert embeddings is not None
        order = free[cold_start(embeddings[free], 2 * n, seed=seed)].tolist()
    else:
        probabilities = _probabilities(model, pool, len(texts))
        order = rank(probabilities, free, 2 * n, strategy, embeddings, labeled, seed)
    return _distinct(order, texts, labeled, n)


def _probabilities(model: Any, pool: Any, rows: int) -> np.ndarray:
    if is_model(model):
        return model.predict_proba(pool)
    probabilities = model.filter(like="prob_").to_numpy(float) if isinstance(model, pd.DataFrame) else np.asarray(model)
    if len(probabilities) != rows:
        raise ValueError(f"the probabilities have {len(probabilities)} rows, but the pool has {rows}")
    return probabilities


def rank(
    probabilities: np.ndarray,
    candidates: np.ndarray,
    n: int,
    strategy: str = "breaking_ties",
    embeddings: np.ndarray | None = None,
    labeled: Sequence[int] | np.ndarray = (),
    seed: int = 0,
) -> Iterator[int]:
    """Yield candidates, the most wanted first: at least `n` of them if there are as many.

    Args:
        probabilities: Of all rows, shape (rows, classes); rows that do not sum to 1 have several labels.
        candidates: Positions of unlabeled rows.
        n: Number of candidates wanted.
        strategy: As for `query`.
        embeddings: Of all rows, shape (rows, width), for strategies that compare texts.
        labeled: Positions of labeled rows, for strategies that compare texts.
        seed: Seed of random choices.
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
        drawn = candidates
        if len(candidates) > MAX_CANDIDATES:
            drawn = np.sort(rng.choice(candidates, MAX_CANDIDATES, replace=False))
        assert embeddings is not None, f"{strategy} needs embeddings"
        rows = np.concatenate([drawn, np.asarray(labeled, dtype=np.int64)])
        known = np.concatenate([np.full(len(drawn), np.nan), np.zeros(len(labeled))])
        chosen = _batch(normalize(embeddings[rows]), known, probabilities[drawn], min(n, len(drawn)), strategy, seed)
        yield from (int(rows[i]) for i in chosen)


def _uncertainty(probabilities: np.ndarray, method: str) -> np.ndarray:
    """Compute scikit-activeml's scores, shape (rows,); for several labels, the score of the least certain one."""
    require("skactiveml", extra="label")
    from skactiveml.pool import uncertainty_scores

    if np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        return uncertainty_scores(probabilities / probabilities.sum(axis=1, keepdims=True), method=method)
    labels = [uncertainty_scores(np.stack([1 - p, p], axis=1), method=method) for p in probabilities.T]
    return np.max(labels, axis=0)


def _batch(x: np.ndarray, y: np.ndarray, probabilities: np.ndarray, n: int, strategy: str, seed: int) -> Iterable[int]:
    """Choose `n` positions in `x` by one of `BATCHES`.

    Args:
        x: Normalized embeddings of the candidates, then of the labeled rows.
        y: NaN for candidates, 0 for labeled rows.
        probabilities: Of the candidates, shape (candidates, classes).
    """
    require("skactiveml", extra="label")
    from skactiveml.base import SkactivemlClassifier
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge, CoreSet, DiscriminativeAL
    from sklearn.linear_model import LogisticRegression

    class Fitted(SkactivemlClassifier):
        """Return the probabilities that are already known."""

        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Fitted":  # noqa: N803 - the library's names
            return self

        def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
            return probabilities

    if strategy == "core_set":
        return CoreSet(random_state=seed).query(x, y, batch_size=n)
    if strategy == "badge":
        return Badge(random_state=seed).query(x, y, Fitted(), fit_clf=False, batch_size=n)
    discriminator = SklearnClassifier(LogisticRegression(C=C), classes=[0, 1], random_state=seed)
    return DiscriminativeAL(random_state=seed).query(x, y, discriminator, batch_size=n)


def cold_start(embeddings: np.ndarray, n: int, probabilities: np.ndarray | None = None, seed: int = 0) -> list[int]:
    """Choose rows to begin with, so that the first few belong to several classes.

    Args:
        embeddings: Shape (rows, width).
        n: Number of rows to choose.
        probabilities: Of a zero-shot classifier, shape (rows, classes), to choose the most confident rows of each class
            in turn. None for the centers of `n` clusters (k-means) in random order.
        seed: Seed of the order and the clusters.
    Returns:
        Positions of n rows, or of all if there are fewer.
    """
    rng = np.random.default_rng(seed)
    n = min(n, len(embeddings))
    if probabilities is not None:
        best = np.argsort(-probabilities, axis=0, kind="stable")
        turns = best[:, rng.permutation(best.shape[1])].reshape(-1)  # the first of each class, then the second, …
        return list(dict.fromkeys(turns.tolist()))[:n]
    if n == 0:
        return []
    x = normalize(embeddings)
    clusters = MiniBatchKMeans(n, n_init=1, random_state=seed).fit(x)
    centers = np.argmax(clusters.cluster_centers_ @ x.T, axis=1).tolist()
    return rng.permutation(list(dict.fromkeys(centers))).tolist()


def _distinct(order: Iterable[int], texts: Sequence[str], labeled: Sequence[int], n: int) -> np.ndarray:
    """Return the first `n` of an order that are not near duplicates of labeled or earlier ones, int64."""
    known = NearDuplicates()
    for i in labeled:
        known.add(texts[i])
    chosen: list[int] = []
    for i in order:
        if len(chosen) == n:
            break
        if not known.has_like(texts[i]):
            known.add(texts[i])
            chosen.append(i)
    return np.array(chosen, dtype=np.int64)
