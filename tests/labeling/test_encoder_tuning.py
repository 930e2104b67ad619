"""An encoder tuned on the labels: when tuning starts, its result, and whether the result is used."""

import time

import numpy as np
import pytest
from conftest import save_roberta
from helpers.labeling import settle
from helpers.topics import WORDS
from helpers.topics import embed as topic_words

pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")

from kickbert.cache.embeddings import embed
from kickbert.labeling.background import BackgroundModel
from kickbert.labeling.classes import ClassList
from kickbert.labeling.encoder_tuning import EncoderTuning, tune_encoder
from kickbert.labeling.session import LabelingSession
from kickbert.training import few_shot

pytestmark = pytest.mark.usefixtures("no_assessment")


class StandIn:
    """A process that is not started."""

    def __init__(self):
        self.starts = 0
        self.result = {"state": "running"}

    def start(self):
        self.starts += 1

    def status(self):
        return self.result

    def stop(self):
        pass


@pytest.fixture
def background(make_database):
    """Make the model behind a page, with a stand-in for the process that tunes the encoder."""

    def make(labels: int, embed=topic_words) -> BackgroundModel:
        database = make_database(200, labels=labels)
        tuning = EncoderTuning(database.file, "minilm")
        tuning.process = StandIn()
        rows = database.rows()
        return BackgroundModel(database, rows, [row.texts[0] for row in rows], embed, tuning=tuning)

    return make


def test_it_starts_with_each_doubling_if_each_class_has_enough_labels(background):
    model = background(39)
    process = model.tuning.process
    process.result = {"state": "done", "labels": 0, "before": 1, "after": 1, "better": False}

    def label(count: int, name: str | None = None) -> None:
        labeled = model.database.count_labeled()
        for i, row in enumerate(model.rows[labeled : labeled + count]):
            model.database.append(row.id, name or list(WORDS)[i % 4], "anna")
        settle(model)

    label(1)
    assert process.starts == 1
    label(39)
    assert process.starts == 1
    label(1)
    assert process.starts == 2
    ClassList(model.database).add("new")
    label(80, "new")
    assert process.starts == 3
    other = background(60)
    ClassList(other.database).add("new")
    for row in other.rows[60:63]:
        other.database.append(row.id, "new", "anna")
    settle(other)
    assert not other.tuning.running  # three labels of a class: some folds would lack it


def test_a_failure_is_reported_once_and_labeling_continues(background):
    model = background(80)
    settle(model)
    assert model.tuning.running
    model.tuning.process.result = {"state": "failed", "reason": "No space is left."}
    settle(model)
    assert model.tuning.problem == "No space is left." and not model.tuning.running
    assert model.fit.labels == 80 and model.tuned is None and model.problem is None
    session = LabelingSession(model.database, topic_words, tuning=model.tuning)
    expected = {"running": False, "problem": "No space is left.", "last": None, "better": False}
    assert session.progress()["tuning"] == expected
    folder = model.tuning.out.parent
    model.stop()
    assert not folder.exists()


def test_embeddings_are_matched_by_the_keys_of_their_rows(background):
    model = background(80)
    settle(model)
    embeddings = np.eye(200, dtype=np.float32)
    with model.tuning.out.open("wb") as stream:
        np.savez(stream, keys=np.array([row.key for row in model.rows]), embeddings=embeddings)
    model.database.add_rows([*(row.texts for row in model.rows), ("another row",)])  # by another process
    model.tuning.process.result = {"state": "done", "labels": 80, "before": 0.5, "after": 0.9, "better": True}
    tuned = model.tuning.collect([model.rows[3], model.rows[1]])
    np.testing.assert_array_equal(tuned.embeddings, embeddings[[3, 1]])
    assert (tuned.labels, tuned.before, tuned.after) == (80, 0.5, 0.9) and not model.tuning.out.exists()
    assert model.tuning.collect(model.rows) is None  # once


@pytest.mark.parametrize("better", [True, False])
def test_a_file_is_written_only_for_better_embeddings(make_database, tiny, tmp_path, monkeypatch, better):
    def choose(self, recipes):
        self.accuracies = [0.5, 0.9] if better else [0.9, 0.9]
        return recipes[better]

    monkeypatch.setattr(few_shot.FewRows, "choose", choose)
    monkeypatch.setattr(few_shot.FewRows, "train", lambda self, recipe, rows: iter(()))
    database, out = make_database(50, labels=30), tmp_path / "embeddings.npz"
    result = tune_encoder(database.file, out, tiny)
    assert result["labels"] == 30 and result["better"] == better == out.exists()
    if better:
        with np.load(out) as stored:
            assert stored["keys"].tolist() == [row.key for row in database.rows()]
            assert stored["embeddings"].dtype == np.float32
            np.testing.assert_allclose(np.linalg.norm(stored["embeddings"], axis=1), 1, atol=1e-5)


def test_too_few_labels_by_the_time_it_runs(make_database, tiny, tmp_path):
    database = make_database(60, labels=40)
    for i, row in enumerate(database.rows()[:40]):
        database.append(row.id, "sport" if i > 2 else "money", "anna")
    with pytest.raises(ValueError, match="Labels were undone in the meantime: some class has fewer than 4"):
        tune_encoder(database.file, tmp_path / "embeddings.npz", tiny)


@pytest.mark.system
def test_a_better_encoder_is_used(make_database, tmp_path, tiny_tok):
    wide = save_roberta(tmp_path / "wide", tiny_tok, 128, 512)  # wide enough to learn from eighty labels
    database = make_database(200, labels=80)
    rows = database.rows()
    tuning = EncoderTuning(database.file, wide)
    tuning.process.lowest = False  # on a busy machine it would take minutes
    model = BackgroundModel(
        database, rows, [row.texts[0] for row in rows], lambda texts: embed(texts, wide), tuning=tuning
    )
    while model.step() or tuning.running:
        if tuning.running:
            time.sleep(0.25)
    settle(model)
    model.stop()
    tuned = model.tuned
    assert tuning.problem is None and tuned.labels == 80 and tuned.after > tuned.before
    assert 0.5 < (tuned.embeddings * model.embeddings).sum(1).min() < 0.9999  # of the same texts, in their order
    assert model.fit.features is tuned.embeddings and model.fit.labels == 80
