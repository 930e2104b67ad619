"""The model behind the page: when it is fitted, its suggestions, and failures."""

import threading

import numpy as np
import pandas as pd
import pytest
from helpers.labeling import settle, topic_of
from helpers.serving import contention
from helpers.topics import WORDS, embed, topics
from sklearn.preprocessing import normalize

pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")

from kickbert.labeling.background import BackgroundModel
from kickbert.labeling.classes import ClassList
from kickbert.labeling.database import LabelDatabase
from kickbert.labeling.encoder_tuning import Tuned


@pytest.fixture
def make_model(make_database):
    """Make a model of a database of 150 texts, without its thread."""

    def make(task=None, embed=embed, zero_shot=None, labels=0):
        database = make_database(topics(150, seed=7), task=task, labels=labels)
        rows = database.rows()
        return BackgroundModel(database, rows, [row.texts[0] for row in rows], embed, zero_shot)

    return make


def label(model, positions, name=None) -> None:
    for i in positions:
        model.database.append(model.rows[i].id, name or topic_of(model.texts[i]), "anna")


def test_it_embeds_once_starts_from_clusters_and_fits_after_five_labels(make_model):
    embedded = []
    model = make_model(embed=lambda texts: embedded.extend(texts) or embed(texts))
    settle(model)
    assert model.embedded.all() and sorted(embedded) == sorted(model.texts)  # each text once
    first = [model.take() for _ in range(12)]
    assert {strategy for _, strategy in first} == {"clusters"} and model.suggestion(0) is None
    assert len({topic_of(model.texts[position]) for position, _ in first}) >= 3
    label(model, [position for position, _ in first[:4]])
    settle(model)
    assert model.fit is None
    label(model, [position for position, _ in first[4:10]])
    settle(model)
    assert model.fit.labels == 10 and model.fit.probabilities.shape == (150, 4)
    suggestion = model.suggestion(0)
    assert suggestion["label"] in WORDS and suggestion["confidence"] == model.fit.probabilities[0].max()
    position, strategy = model.take()
    sorted_probabilities = np.sort(model.fit.probabilities, axis=1)
    margins = sorted_probabilities[:, -1] - sorted_probabilities[:, -2]
    margins[[p for p, _ in first[:10]]] = np.inf
    assert strategy == "breaking_ties" and margins[position] == margins.min()


def test_it_starts_from_the_names_of_the_classes(make_model):
    def zero_shot(texts, classes):
        assert list(classes) == list(WORDS)
        hits = [[sum(w in text for w in WORDS[name]) for name in classes] for text in texts]
        return pd.DataFrame(np.array(hits) / 10, columns=[f"prob_{name}" for name in classes])

    model = make_model(zero_shot=zero_shot)
    settle(model)
    first = [model.take() for _ in range(4)]
    assert {strategy for _, strategy in first} == {"zero_shot"}
    assert {topic_of(model.texts[position]) for position, _ in first} == set(WORDS)


def test_labels_of_one_class_are_not_an_error(make_model):
    model = make_model()
    label(model, range(7), "sport")
    settle(model)
    assert model.fit is None and model.problem is None
    label(model, range(7, 12))
    settle(model)
    assert model.fit.labels == 12


def test_a_renamed_class_undone_labels_and_another_process_are_noticed(make_model):
    model = make_model()
    label(model, range(10))
    settle(model)
    ClassList(model.database).rename("sport", "sports")
    settle(model)
    assert model.fit.classes[0] == "sports"
    other = LabelDatabase(model.database.file)
    for i in range(10, 16):
        other.append(model.rows[i].id, topic_of(model.texts[i]).replace("sport", "sports"), "ben")
    other.close()
    settle(model)
    assert model.fit.labels == 16
    for _ in range(6):
        model.database.undo("anna")
    settle(model)
    assert model.fit.labels == 10


def test_rows_that_are_gone_are_learned_from_but_not_asked(make_model):
    model = make_model(labels=20)
    model.database.add_rows([row.texts for row in model.rows[10:]])
    model = BackgroundModel(model.database, model.database.rows(), model.texts, embed)
    settle(model)
    asked = []
    while (chosen := model.take()) is not None:
        asked.append(chosen[0])
    assert model.fit.labels == 20 and min(asked) >= 20


@pytest.mark.parametrize("task", ["multi-label", "ordinal"])
def test_several_labels_and_scales(make_model, task):
    model = make_model(task)
    for row in model.rows[:40]:
        name = topic_of(row.texts[0])
        several = ["sport", "travel"] if name == "sport" else [name]
        model.database.append(row.id, several if task == "multi-label" else name, "anna")
    settle(model)
    suggested = model.suggestion(100)["label"]
    assert isinstance(suggested, list) if task == "multi-label" else suggested in WORDS
    assert model.assessment.labels == 40 and model.fit.predicted.shape[:1] == (150,)


def test_an_error_is_reported_and_work_continues(make_model):
    broken, failed, fitted = threading.Event(), threading.Event(), threading.Event()
    broken.set()

    def failing(texts):
        if broken.is_set():
            raise RuntimeError("no\nmemory")
        return embed(texts)

    model = make_model(embed=failing)
    step = model.step

    def observed_step():
        try:
            return step()
        finally:
            (fitted if model.fit else failed).set()

    model.step = observed_step
    model.start()
    try:
        assert failed.wait(20)
        while model.problem is None:  # set right after the step
            pass
        assert model.problem == "The model could not be fitted: no memory"
        broken.clear()
        label(model, range(10))
        model.wake()
        assert fitted.wait(20) and model.fit.labels == 10
    finally:
        model.stop()


def test_words_of_the_topic(make_model):
    model = make_model(labels=60)
    settle(model)
    suggested = model.suggestion(100)["label"]
    explanation = model.words(100, [suggested])
    assert explanation.words == model.texts[100].split() and explanation.label == suggested
    other = next(name for name in WORDS if name != suggested)
    against = model.words(100, [other])  # suggested by an earlier fit, and still on the page
    assert against.label == other and against.value < explanation.value
    assert model.words(100, ["no such class"]) is None and model.words(100, []) is None


def test_a_tuned_encoder_is_used_and_words_explain_only_what_both_encoders_predict(make_model):
    rng = np.random.default_rng(0)
    blurred = {}

    def blurry(texts):
        pairs = zip(texts, embed(texts), strict=True)
        return np.stack([blurred.setdefault(text, exact + rng.normal(size=64)) for text, exact in pairs])

    model = make_model(embed=blurry, labels=80)
    settle(model)
    before = model.fit
    assert before.features is model.embeddings and before.explainer is before.model
    model.tuned = Tuned(80, 0.5, 0.9, normalize(embed(model.texts)))
    settle(model)
    assert model.fit.features is model.tuned.embeddings and model.fit.labels == before.labels
    np.testing.assert_array_equal(model.fit.probabilities, model.fit.model.predict_proba(model.tuned.embeddings))
    # the assessment stays on the original encoder, which has not seen the labels
    np.testing.assert_array_equal(model.fit.explainer.predict_proba(model.embeddings), before.probabilities)
    same = before.predicted == model.fit.predicted
    agreed, disputed = (int(np.flatnonzero(which)[0]) for which in (same, ~same))
    suggested = model.suggestion(agreed)["label"]
    assert model.words(agreed, [suggested]).label == suggested
    assert model.words(disputed, [model.suggestion(disputed)["label"]]) is None
    ClassList(model.database).rename("sport", "money")  # merged while the encoder was being tuned
    for _ in range(20):
        model.database.undo("anna")
    settle(model)
    assert model.fit.labels == 60 and model.fit.classes == ["money", "health", "travel"]
    assert model.fit.features is model.tuned.embeddings


def test_a_round_on_a_large_pool_takes_less_than_a_second(make_database):
    rng = np.random.default_rng(0)
    centers, codes = rng.normal(size=(10, 128)), rng.integers(10, size=20_000)
    vectors = (centers[codes] + rng.normal(size=(20_000, 128)) * 2).astype(np.float32)
    texts = [f"text {i} {rng.integers(10**9)}" for i in range(20_000)]
    number = {text: i for i, text in enumerate(texts)}
    database = make_database(pd.DataFrame({"text": texts}), classes=[f"c{i}" for i in range(10)])
    rows = database.rows()
    model = BackgroundModel(
        database, rows, [row.texts[0] for row in rows], lambda some: vectors[[number[text] for text in some]]
    )
    database.append_known({row.id: f"c{codes[number[row.texts[0]]]}" for row in rows[:400]}, "anna", "random")
    settle(model)
    assert model.fit.labels == 400 and model.fit.seconds < contention()
