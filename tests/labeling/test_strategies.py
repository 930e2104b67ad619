"""Which texts are chosen: fewer labels than at random, several classes to begin with, nothing nearly twice."""

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
    df = topics(600, seed=2, told=3)
    return df, normalize(embed(df["text"].tolist())), label_codes(df["label"].tolist(), list(WORDS), "single label")


def labels_until(accuracy: float, strategy: str, pool, seed: int) -> int:
    """How many labels it takes until all of the pool is predicted as well."""
    _, x, y = pool
    labelled = np.random.default_rng(seed).permutation(len(x))[:12].tolist()
    while True:
        probabilities = EmbeddingClassifier("single label", 4).fit(x[labelled], y[labelled]).predict_proba(x)
        if (probabilities.argmax(1) == y).mean() >= accuracy or len(labelled) > 300:
            return len(labelled)
        free = np.setdiff1d(np.arange(len(x)), labelled)
        labelled += [int(i) for i, _ in zip(rank(probabilities, free, 8, strategy, seed=seed), range(8), strict=False)]


def test_fewer_labels_than_at_random(pool):
    needed = {s: np.mean([labels_until(0.85, s, pool, seed) for seed in range(3)]) for s in ("breaking_ties", "random")}
    assert needed["breaking_ties"] < 0.8 * needed["random"], needed


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_gives_different_rows_without_a_label(pool, strategy):
    df, x, y = pool
    labelled = list(range(30))
    probabilities = EmbeddingClassifier("single label", 4).fit(x[:30], y[:30]).predict_proba(x)
    chosen = query(probabilities, df, 10, strategy, labelled=labelled, embeddings=x, seed=3)
    assert len(set(chosen.tolist())) == 10 and chosen.min() >= 30 and chosen.dtype == np.int64
    again = query(probabilities, df, 10, strategy, labelled=labelled, embeddings=x, seed=3)
    assert chosen.tolist() == again.tolist()


def test_breaking_ties_takes_the_smallest_margin():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.5, 0.45, 0.05], [0.4, 0.3, 0.3], [0.34, 0.33, 0.33]])
    texts = ["one two three", "four five six", "seven eight nine", "ten eleven twelve"]
    assert query(probabilities, texts, 4).tolist() == [3, 1, 2, 0]
    assert query(probabilities, texts, 4, "entropy").tolist() == [3, 2, 1, 0]
    frame = pd.DataFrame(probabilities, columns=["prob_a", "prob_b", "prob_c"]).assign(label="a", confidence=1.0)
    assert query(frame, texts, 1).tolist() == [3]


def test_several_labels_go_by_the_least_certain_one():
    probabilities = np.array([[0.9, 0.9], [0.52, 0.99], [0.1, 0.2]])
    assert query(probabilities, ["one two", "three four", "five six"], 3).tolist() == [1, 2, 0]


def test_a_cold_start_has_several_classes(pool):
    df, x, _ = pool
    assert df["label"].iloc[query(None, df, 12, embeddings=x)].nunique() >= 3
    scores = np.full((600, 4), 0.1)
    for i, code in enumerate(label_codes(df["label"].tolist(), list(WORDS), "single label")):
        scores[i, code] = 0.5 + i / 2000
    first = cold_start(x, 4, scores)
    assert sorted(df["label"].iloc[first]) == sorted(WORDS)  # each class once, the surest rows
    assert len(set(cold_start(x, 700))) <= 600 and cold_start(x[:0], 5) == []


def test_what_is_nearly_the_same_is_asked_once():
    lamp = "the lamp that you sent arrived broken and nobody of yours answers"
    texts = [lamp, lamp.title() + "!", "my parcel is lost", "who pays for this"]
    even = np.full((4, 2), 0.5)
    assert query(even, texts, 4).tolist() == [0, 2, 3]
    assert query(even, texts, 4, labelled=[1]).tolist() == [2, 3]


def test_a_learner_is_asked_itself(make, reviews):
    learn = make(reviews)
    chosen = query(learn, reviews, 5)
    margins = np.abs(np.diff(learn.predict_proba(reviews), axis=1)).ravel()
    assert margins[chosen[0]] == margins.min() and len(chosen) == 5


def test_what_cannot_be_chosen_from(pool):
    df, _, _ = pool
    with pytest.raises(ValueError, match=r"strategy='entropie' is not one of .*. Did you mean 'entropy'"):
        query(np.full((600, 2), 0.5), df, 5, "entropie")
    with pytest.raises(ValueError, match="there are probabilities of 3 rows, and 600 rows in the pool"):
        query(np.full((3, 2), 0.5), df, 5)
