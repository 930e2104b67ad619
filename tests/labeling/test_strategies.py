"""Query strategies need fewer labels than random rows, start with several classes, and avoid near duplicates."""

import numpy as np
import pandas as pd
import pytest
from helpers.topics import WORDS, embed, topics

pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")

from sklearn.preprocessing import normalize

from kickbert.labeling import STRATEGIES, cold_start, query
from kickbert.labeling.classifier import EmbeddingClassifier, label_codes
from kickbert.labeling.strategies import rank


@pytest.fixture(scope="module")
def pool():
    df = topics(600, seed=2, topic_words=3)
    return df, normalize(embed(df["text"].tolist())), label_codes(df["label"].tolist(), list(WORDS), "single label")


def labels_until(accuracy: float, strategy: str, pool, seed: int) -> int:
    """Count the labels needed to predict the whole pool with this accuracy."""
    _, x, y = pool
    labeled = np.random.default_rng(seed).permutation(len(x))[:12].tolist()
    while True:
        probabilities = EmbeddingClassifier("single label", 4).fit(x[labeled], y[labeled]).predict_proba(x)
        if (probabilities.argmax(1) == y).mean() >= accuracy or len(labeled) > 300:
            return len(labeled)
        free = np.setdiff1d(np.arange(len(x)), labeled)
        labeled += [int(i) for i, _ in zip(rank(probabilities, free, 8, strategy, seed=seed), range(8), strict=False)]


def test_fewer_labels_than_at_random(pool):
    needed = {s: np.mean([labels_until(0.85, s, pool, seed) for seed in range(3)]) for s in ("breaking_ties", "random")}
    assert needed["breaking_ties"] < 0.8 * needed["random"], needed


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_chooses_different_unlabeled_rows(pool, strategy):
    df, x, y = pool
    labeled = list(range(30))
    probabilities = EmbeddingClassifier("single label", 4).fit(x[:30], y[:30]).predict_proba(x)
    chosen = query(probabilities, df, 10, strategy, labeled=labeled, embeddings=x, seed=3)
    assert len(set(chosen.tolist())) == 10 and chosen.min() >= 30 and chosen.dtype == np.int64
    again = query(probabilities, df, 10, strategy, labeled=labeled, embeddings=x, seed=3)
    assert chosen.tolist() == again.tolist()


def test_breaking_ties_takes_the_smallest_margin():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.5, 0.45, 0.05], [0.4, 0.3, 0.3], [0.34, 0.33, 0.33]])
    texts = ["one two three", "four five six", "seven eight nine", "ten eleven twelve"]
    assert query(probabilities, texts, 4).tolist() == [3, 1, 2, 0]
    assert query(probabilities, texts, 4, "entropy").tolist() == [3, 2, 1, 0]
    frame = pd.DataFrame(probabilities, columns=["prob_a", "prob_b", "prob_c"]).assign(label="a", confidence=1.0)
    assert query(frame, texts, 1).tolist() == [3]


def test_the_least_certain_of_several_labels_counts():
    probabilities = np.array([[0.9, 0.9], [0.52, 0.99], [0.1, 0.2]])
    assert query(probabilities, ["one two", "three four", "five six"], 3).tolist() == [1, 2, 0]


def test_a_cold_start_covers_several_classes(pool):
    df, x, _ = pool
    assert df["label"].iloc[query(None, df, 12, embeddings=x)].nunique() >= 3
    scores = np.full((600, 4), 0.1)
    for i, code in enumerate(label_codes(df["label"].tolist(), list(WORDS), "single label")):
        scores[i, code] = 0.5 + i / 2000
    first = cold_start(x, 4, scores)
    assert sorted(df["label"].iloc[first]) == sorted(WORDS)  # the most confident row of each class
    assert len(set(cold_start(x, 700))) <= 600 and cold_start(x[:0], 5) == []


def test_near_duplicates_are_asked_once():
    lamp = "the lamp that you sent arrived broken and nobody of yours answers"
    texts = [lamp, lamp.title() + "!", "my parcel is lost", "who pays for this"]
    even = np.full((4, 2), 0.5)
    assert query(even, texts, 4).tolist() == [0, 2, 3]
    assert query(even, texts, 4, labeled=[1]).tolist() == [2, 3]


def test_a_learner_predicts_the_pool(make, reviews):
    learn = make(reviews)
    chosen = query(learn, reviews, 5)
    margins = np.abs(np.diff(learn.predict_proba(reviews), axis=1)).ravel()
    assert margins[chosen[0]] == margins.min() and len(chosen) == 5


def test_errors(pool):
    df, _, _ = pool
    with pytest.raises(ValueError, match=r"strategy='entropie' is not one of .*. Did you mean 'entropy'"):
        query(np.full((600, 2), 0.5), df, 5, "entropie")
    with pytest.raises(ValueError, match="the probabilities have 3 rows, but the pool has 600"):
        query(np.full((3, 2), 0.5), df, 5)
