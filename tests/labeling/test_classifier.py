"""The model behind the page: accuracy, classes without labels, explanations by word."""

import numpy as np
import pytest
from helpers.topics import WORDS, embed, topics
from sklearn.preprocessing import normalize

from kickbert.labeling.classifier import EmbeddingClassifier, explain_words, label_codes, out_of_fold


@pytest.fixture(scope="module")
def labeled():
    df = topics(200, seed=1)
    return normalize(embed(df["text"].tolist())), label_codes(df["label"].tolist(), list(WORDS), "single label")


def test_it_learns_and_is_judged_on_unseen_rows(labeled):
    x, y = labeled
    model = EmbeddingClassifier("single label", 4).fit(x, y)
    probabilities = model.predict_proba(x)
    assert probabilities.shape == (200, 4) and np.allclose(probabilities.sum(1), 1)
    seen, unseen = (model.decide(p) == y for p in (probabilities, out_of_fold(model, x, y)))
    assert 0.6 < unseen.mean() < seen.mean() <= 1


def test_a_class_without_labels_is_unlikely(labeled):
    x, y = labeled
    some = y < 2
    model = EmbeddingClassifier("single label", 4)
    assert model.fit(x[some], y[some]).predict_proba(x)[:, 2:].max() < 0.01
    one_each = np.array([np.flatnonzero(y == code)[0] for code in range(4)])
    assert out_of_fold(model, x[one_each], y[one_each]).shape == (4, 4)  # no fold has all classes


def test_labels_must_differ(labeled):
    _, y = labeled
    model = EmbeddingClassifier("single label", 4)
    assert not model.can_fit(y[:0]) and not model.can_fit(y[y == 1]) and model.can_fit(y)
    assert not EmbeddingClassifier("multi-label", 2).can_fit(np.array([[1, 0], [1, 0]]))


def test_several_labels(labeled):
    x, y = labeled
    codes = np.stack([y < 2, y == 0, y < 0], axis=1).astype(int)  # nobody uses the last label
    model = EmbeddingClassifier("multi-label", 3).fit(x, codes)
    probabilities = model.predict_proba(x)
    assert (model.decide(probabilities) == codes).mean() > 0.9 and probabilities[:, 2].max() < 0.01


def test_a_scale_is_decided_by_its_median():
    probabilities = np.array([[0.4, 0.2, 0.4]])
    assert EmbeddingClassifier("ordinal", 3).decide(probabilities).tolist() == [1]
    assert EmbeddingClassifier("single label", 3).decide(probabilities).tolist() == [0]


def test_the_words_of_the_topic_count_most(labeled):
    x, y = labeled
    model = EmbeddingClassifier("single label", 4).fit(x, y)
    predict = lambda texts: model.predict_proba(normalize(embed(texts)))  # noqa: E731
    explanation = explain_words("people said the doctor today", "health", 2, predict)
    assert explanation.words[int(explanation.scores.argmax())] == "doctor" and explanation.label == "health"
    assert len(explain_words("word " * 500, "health", 2, predict, max_words=7).words) == 7
