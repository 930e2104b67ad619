"""The model behind the page: when it is fitted, what it suggests, what it does when something goes wrong."""

import time

import numpy as np
import pandas as pd
import pytest
from helpers.topics import WORDS, embed, topics

pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")

from kickbert.labeling.background import BackgroundModel
from kickbert.labeling.classes import ClassList, add_classes
from kickbert.labeling.database import LabelDatabase
from kickbert.labeling.tables import add_table


@pytest.fixture
def made(tmp_path):
    """A function that makes a model of a database of 300 texts, without its thread, and their true labels by row."""
    databases = []

    def make(task="single label", **how):
        df = topics(300, seed=7)
        database = LabelDatabase(tmp_path / f"labels{len(databases)}.db", ["text"], task)
        databases.append(database)
        add_table(database, df)
        add_classes(ClassList(database), WORDS)
        truth = dict(zip(df["text"], df["label"], strict=True))
        rows = database.rows()
        texts = [row.texts[0] for row in rows]
        return BackgroundModel(database, rows, texts, **{"embed": embed, **how}), [truth[text] for text in texts]

    yield make
    for database in databases:
        database.close()


def settle(model) -> None:
    while model.step():
        pass


def give(model, truth, places) -> None:
    for i in places:
        model.database.append(model.rows[i].id, truth[i], "anna")


def test_it_embeds_once_then_begins_with_clusters_and_fits_after_five_labels(made):
    read = []
    model, truth = made(embed=lambda texts: read.extend(texts) or embed(texts))
    settle(model)
    assert model.embedded.all() and sorted(read) == sorted(model.texts)  # each text once
    first = [model.take() for _ in range(12)]
    assert {strategy for _, strategy in first} == {"clusters"} and model.suggestion(0) is None
    assert len({truth[place] for place, _ in first}) >= 3
    give(model, truth, [place for place, _ in first[:4]])
    settle(model)
    assert model.fit is None
    give(model, truth, [place for place, _ in first[4:10]])
    settle(model)
    assert model.fit.labels == 10 and model.fit.probabilities.shape == (300, 4)
    suggestion = model.suggestion(0)
    assert suggestion["label"] in WORDS and suggestion["confidence"] == model.fit.probabilities[0].max()
    place, strategy = model.take()
    margins = np.sort(model.fit.probabilities, axis=1)
    margins = margins[:, -1] - margins[:, -2]
    margins[[p for p, _ in first[:10]]] = np.inf
    assert strategy == "breaking_ties" and margins[place] == margins.min()


def test_it_begins_with_the_names_of_the_classes(made):
    def zero_shot(texts, classes):
        assert list(classes) == list(WORDS)
        hits = [[sum(w in text for w in WORDS[name]) for name in classes] for text in texts]
        return pd.DataFrame(np.array(hits) / 10, columns=[f"prob_{name}" for name in classes])

    model, truth = made(zero_shot=zero_shot)
    settle(model)
    first = [model.take() for _ in range(4)]
    assert {strategy for _, strategy in first} == {"zero_shot"} and {truth[p] for p, _ in first} == set(WORDS)


def test_one_class_so_far_is_no_error(made):
    model, truth = made()
    settle(model)
    give(model, ["sport"] * 300, range(7))
    settle(model)
    assert model.fit is None and model.problem is None
    give(model, truth, range(7, 12))
    settle(model)
    assert model.fit.labels == 12


def test_a_renamed_class_an_undone_label_and_another_process_are_seen(made):
    model, truth = made()
    settle(model)
    give(model, truth, range(10))
    settle(model)
    ClassList(model.database).rename("sport", "sports")
    settle(model)
    assert model.fit.classes[0] == "sports"
    other = LabelDatabase(model.database.file)
    for i in range(10, 16):
        other.append(model.rows[i].id, truth[i].replace("sport", "sports"), "ben")
    other.close()
    settle(model)
    assert model.fit.labels == 16
    for _ in range(6):
        model.database.undo("anna")
    settle(model)
    assert model.fit.labels == 10


def test_rows_that_are_gone_are_learnt_from_and_not_asked(made):
    model, truth = made()
    give(model, truth, range(20))
    model.database.add_rows([row.texts for row in model.rows[10:]])
    model = BackgroundModel(model.database, model.database.rows(), model.texts, embed)
    settle(model)
    asked = []
    while (chosen := model.take()) is not None:
        asked.append(chosen[0])
    assert model.fit.labels == 20 and min(asked) >= 20


@pytest.mark.parametrize("task", ["multi-label", "ordinal"])
def test_several_labels_and_scales(made, task):
    model, truth = made(task)
    several = [[name] if name != "sport" else ["sport", "travel"] for name in truth]
    give(model, several if task == "multi-label" else truth, range(60))
    settle(model)
    label = model.suggestion(100)["label"]
    assert isinstance(label, list) if task == "multi-label" else label in WORDS
    assert model.assessment.labels == 60 and model.fit.predicted.shape[:1] == (300,)


def test_an_error_is_told_and_what_comes_after_goes_on(made):
    broken = [True]

    def failing(texts):
        if broken[0]:
            raise RuntimeError("no\nmemory")
        return embed(texts)

    model, truth = made(embed=failing)
    model.start()
    try:
        for _ in range(200):
            if model.problem:
                break
            time.sleep(0.02)
        assert model.problem == "The model could not be fitted: no memory"
        broken[0] = False
        give(model, truth, range(10))
        model.wake()
        for _ in range(500):
            if model.fit is not None and model.problem is None:
                break
            time.sleep(0.02)
        assert model.fit.labels == 10
    finally:
        model.stop()


def test_words_of_the_topic(made):
    model, truth = made()
    give(model, truth, range(100))
    settle(model)
    place, suggested = 150, model.suggestion(150)["label"]
    found = model.words(place, [suggested])
    assert found.words == model.texts[place].split() and found.label == suggested
    other = next(name for name in WORDS if name != suggested)
    against = model.words(place, [other])  # suggested by an earlier fit: it is still what the page shows
    assert against.label == other and against.value < found.value
    assert model.words(place, ["no such class"]) is None and model.words(place, []) is None


def test_a_round_on_a_large_pool_takes_less_than_a_second(tmp_path):
    rng = np.random.default_rng(0)
    centres, codes = rng.normal(size=(10, 128)), rng.integers(10, size=20_000)
    vectors = (centres[codes] + rng.normal(size=(20_000, 128)) * 2).astype(np.float32)
    texts = [f"text {i} {rng.integers(10**9)}" for i in range(20_000)]
    by_text = dict(zip(texts, vectors, strict=True))
    database = LabelDatabase(tmp_path / "labels.db", ["text"])
    database.add_rows([(text,) for text in texts])
    add_classes(ClassList(database), [f"c{i}" for i in range(10)])
    rows = database.rows()
    model = BackgroundModel(database, rows, [r.texts[0] for r in rows], lambda t: np.stack([by_text[x] for x in t]))
    code = dict(zip(texts, codes, strict=True))
    database.append_known({row.id: f"c{code[row.texts[0]]}" for row in rows[:400]}, "anna", "random")
    settle(model)
    assert model.fit.labels == 400 and model.fit.seconds < 1
    database.close()
