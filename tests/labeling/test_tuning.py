"""What runs in processes of its own: an encoder tuned on the labels and taken over, an artifact; how they end."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from conftest import REPO, save_roberta
from helpers.topics import WORDS, topics
from helpers.topics import embed as topic_words
from sklearn.preprocessing import normalize

pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")

from kickbert.cache.embeddings import embed
from kickbert.labeling.background import BackgroundModel
from kickbert.labeling.classes import ClassList, add_classes
from kickbert.labeling.database import LabelDatabase
from kickbert.labeling.session import LabelingSession
from kickbert.labeling.tables import add_table
from kickbert.labeling.tuning import LOWEST, EncoderTuning, TaskProcess, Tuned, train_from_labels, tune_encoder


@pytest.fixture(scope="module")
def wide(tmp_path_factory, tiny_tok) -> str:
    """Folder of an encoder wide enough to learn from eighty labels: it gains about ten points in cross-validation."""
    return save_roberta(tmp_path_factory.mktemp("wide"), tiny_tok, 128, 512)


@pytest.fixture
def labelled(tmp_path):
    """A function that makes a database of 200 texts on topics, or of other rows, some of them labelled."""
    databases = []

    def make(labels: int, df=None, told: int = 5) -> LabelDatabase:
        df = topics(200, seed=3, told=told) if df is None else df
        database = LabelDatabase(tmp_path / f"labels{len(databases)}.db", ["text"])
        databases.append(database)
        add_table(database, df[["text"]])
        add_classes(ClassList(database), sorted(set(df["label"])))
        truth = dict(zip(df["text"], df["label"], strict=True))
        chosen = database.rows()[:labels]
        database.append_known({row.id: truth[row.texts[0]] for row in chosen}, "anna", "random")
        return database

    yield make
    for database in databases:
        database.close()


@pytest.fixture
def background(wide):
    """A function that makes the model behind a page on the encoder, which is tuned on the labels."""
    models = []

    def make(database: LabelDatabase, model: str | None = wide) -> BackgroundModel:
        rows = database.rows()
        tuning = model and EncoderTuning(database.file, model)
        if model:  # at the lowest priority a busy machine would take minutes
            tuning._process._lowest = False
        texts = [row.texts[0] for row in rows]
        models.append(BackgroundModel(database, rows, texts, lambda some: embed(some, wide), tuning=tuning))
        return models[-1]

    yield make
    for model in models:
        model.stop()


def settle(model) -> None:
    """Do all that there is to do, the process's work too."""
    while model.step() or model.tuning.running:
        if model.tuning.running:
            time.sleep(0.25)
    while model.step():  # what has come of it
        pass


def until(holds, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_better_encoder_is_taken_over(labelled, background):
    database = labelled(80)
    model = background(database)
    model.step()  # all are embedded at once
    model.step()
    before = model.fit
    assert model.tuning.running and before.features is model.embeddings and before.words is before.model
    settle(model)
    tuned = model.tuned
    assert tuned.labels == 80 and tuned.after > tuned.before and model.tuning.problem is None
    assert tuned.embeddings.shape == model.embeddings.shape
    np.testing.assert_allclose(np.linalg.norm(tuned.embeddings, axis=1), 1, atol=1e-5)
    assert (tuned.embeddings * model.embeddings).sum(1).min() > 0.5  # of the same texts, in their order
    assert model.fit.features is tuned.embeddings and model.fit.labels == before.labels
    np.testing.assert_array_equal(model.fit.probabilities, model.fit.model.predict_proba(tuned.embeddings))
    assert model.suggestion(150)["confidence"] == model.fit.probabilities[150].max()
    # what is judged has not been seen: as it was before the encoder was tuned on it
    np.testing.assert_array_equal(model.fit.words.predict_proba(model.embeddings), before.probabilities)
    assert model.assessment.labels == 80


def tuned_by_hand(model) -> None:
    """Give a model what a process might: embeddings that tell the topics better."""
    while model.step():
        pass
    model.tuned = Tuned(80, 0.5, 0.9, normalize(topic_words(model.texts)))
    while model.step():
        pass


def test_words_speak_for_what_is_suggested_or_not_at_all(labelled, background):
    model = background(labelled(80), None)
    tuned_by_hand(model)
    frozen = model.fit.words.predict_proba(model.embeddings).argmax(1)
    same = frozen == model.fit.predicted
    place, other = (int(np.flatnonzero(which)[0]) for which in (same, ~same))
    suggested = model.suggestion(place)["label"]
    assert model.words(place, [suggested]).label == suggested
    assert model.words(other, [model.suggestion(other)["label"]]) is None
    session = LabelingSession(model.database, model._embed)
    session.model = model
    assert session.progress()["tuning"] is None


def test_classes_that_are_merged_and_labels_undone_meanwhile_do_no_harm(labelled, background):
    database = labelled(80)
    model = background(database, None)
    ClassList(database).rename("sport", "money")
    for _ in range(20):
        database.undo("anna")
    tuned_by_hand(model)
    assert model.fit.labels == 60 and model.fit.classes == ["health", "money", "travel"]
    assert model.fit.features is model.tuned.embeddings


def test_embeddings_are_found_by_their_keys(labelled, wide):
    database = labelled(0)
    tuning, rows, some = EncoderTuning(database.file, wide), database.rows(), np.eye(200, dtype=np.float32)
    with tuning._out.open("wb") as stream:
        np.savez(stream, keys=np.array([row.key for row in rows]), embeddings=some)
    database.add_rows([*(row.texts for row in rows), ("another row",)])  # by another process: not asked for here
    chosen = [rows[3], rows[1]]
    np.testing.assert_array_equal(tuning._read(chosen), some[[3, 1]])
    assert not tuning._out.exists()
    tuning.stop()


def test_one_that_is_no_better_is_not(labelled, background):
    model = background(labelled(60, topics(200, seed=3, classes=2, told=12)))
    settle(model)
    assert model.tuned.embeddings is None and model.tuned.after <= model.tuned.before == 1
    assert model.fit.features is model.embeddings and model.tuning.problem is None


def test_it_begins_with_each_doubling_and_enough_of_each_class(labelled, background):
    database = labelled(39)
    model = background(database)
    started = []
    model.tuning._process.start = lambda: started.append(database.labelled())
    model.tuning._process.status = lambda: {"state": "done", "labels": 0, "before": 1, "after": 1, "better": False}

    def label(count: int, name: str | None = None) -> None:
        names = iter([name] if name else list(WORDS))
        for row in model.rows[database.labelled() :][:count]:
            if name is None and (given := next(names, None)) is None:
                names = iter(list(WORDS)[1:])
                given = "sport"
            database.append(row.id, name or given, "anna")
        while model.step():
            pass

    label(1, "sport")
    assert started == [40]
    label(39)
    assert started == [40]
    label(1)
    assert started == [40, 80]
    ClassList(database).add("new")
    label(80, "new")
    assert started == [40, 80, 160]
    other = background(labelled(60))
    ClassList(other.database).add("new")
    for row in other.rows[60:63]:
        other.database.append(row.id, "new", "anna")
    while other.step():
        pass
    assert not other.tuning.running  # three labels of a class: no folds


def test_a_process_that_fails_or_crashes_is_a_line_and_labelling_goes_on(labelled, background, tmp_path):
    database = labelled(80)
    model = background(database, str(tmp_path / "no encoder"))
    settle(model)
    assert "no encoder" in model.tuning.problem and "\n" not in model.tuning.problem
    assert model.fit.labels == 80 and model.tuned is None and model.problem is None
    session = LabelingSession(database, model._embed, tuning=model.tuning)
    assert session.progress()["tuning"] == {
        "running": False, "problem": model.tuning.problem, "last": None, "better": False
    }  # fmt: skip
    crashing = background(labelled(80))
    crashing.step()
    crashing.step()
    crashing.tuning._process.process.kill()
    settle(crashing)
    assert crashing.tuning.problem == "Its process was ended from outside, with code -9."
    assert crashing.fit.labels == 80 and not crashing.tuning.running


def test_the_model_ends_it(labelled, background):
    model = background(labelled(80))
    model.step()
    model.step()
    pid, folder = model.tuning._process.process.pid, model.tuning._out.parent
    model.stop()
    assert not psutil.pid_exists(pid) and not folder.exists()


SLEEPER = """
import sys, time
from kickbert.labeling.tuning import TaskProcess

if __name__ == "__main__":
    task = TaskProcess(time.sleep, 300)
    task.start()
    print(task.process.pid, flush=True)
    time.sleep(300)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_a_kill_of_the_page_ends_it(tmp_path):
    (tmp_path / "page.py").write_text(SLEEPER)
    env = os.environ | {"PYTHONPATH": str(REPO)}
    page = subprocess.Popen([sys.executable, tmp_path / "page.py"], stdout=subprocess.PIPE, text=True, env=env)
    child = psutil.Process(int(page.stdout.readline()))
    until(lambda: len(child.cmdline()) > 1 and child.num_threads() > 1)  # it runs
    page.kill()
    page.wait()
    page.stdout.close()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_the_lowest_priority_and_one_thread(tmp_path):
    (tmp_path / "limits_of_a_task.py").write_text(
        "import os, sys\n\n\ndef own():\n    import torch\n\n"
        '    return {"nice": os.nice(0), "threads": torch.get_num_threads(), "prints_to": sys.stdout.name}\n'
    )
    sys.path.insert(0, str(tmp_path))
    try:
        from limits_of_a_task import own

        task = TaskProcess(own, lowest=True)
        task.start()
        until(lambda: task.status()["state"] != "running")
    finally:
        sys.path.remove(str(tmp_path))
    assert task.status() == {"state": "done", "nice": LOWEST, "threads": 1, "prints_to": os.devnull}


def test_embeddings_are_kept_with_the_keys_of_their_rows(labelled, wide, tmp_path):
    database, out = labelled(80), tmp_path / "out" / "embeddings.npz"
    out.parent.mkdir()
    verdict = tune_encoder(database.file, out, wide)
    assert verdict["better"] and verdict["labels"] == 80 and not list(out.parent.glob("*.part"))
    with np.load(out) as stored:
        keys, embeddings = stored["keys"].tolist(), stored["embeddings"]
    assert keys == [row.key for row in database.rows()] and embeddings.dtype == np.float32
    frozen = normalize(embed([row.texts[0] for row in database.rows()], wide))
    assert 0.5 < (embeddings * frozen).sum(1).min() < 0.9999


def test_too_few_labels_by_the_time_that_it_looks(labelled, wide, tmp_path):
    database = labelled(80)
    for i, row in enumerate(database.rows()[:80]):
        database.append(row.id, "sport" if i > 2 else "money", "anna")
    with pytest.raises(ValueError, match="Labels were taken back meanwhile: some class has fewer than 4"):
        tune_encoder(database.file, tmp_path / "embeddings.npz", wide)


def test_an_artifact_of_the_labels(labelled, wide, tmp_path):
    import kickbert

    result = train_from_labels(labelled(80).file, tmp_path / "model", wide)
    assert result["rows"] == 80 and "accuracy" in result["scores"] and result["folder"].endswith("v1")
    assert kickbert.load(tmp_path / "model", backend="torch").labels == sorted(WORDS)


def test_training_in_a_process_of_its_own_tells_how_it_ends(tmp_path):
    training = TaskProcess(train_from_labels, tmp_path / "nothing.db", tmp_path / "model", "minilm")
    assert training.status() == {"state": "none"}
    training.start()
    training.start()  # pressed twice
    assert training.status() == {"state": "running"}
    until(lambda: training.status()["state"] != "running")
    assert training.status()["state"] == "failed" and "nothing.db is not there" in training.status()["reason"]
