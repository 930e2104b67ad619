"""Predictors import little, keep the order of rows, and accept any text."""

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import kickbert
from kickbert.inference.backends.onnx_backend import OnnxBackend
from kickbert.inference.batch_prediction import predict_file
from kickbert.inference.predictor import Predictor, reopen
from kickbert.models.artifact.reading import read_artifact


@pytest.fixture(scope="module")
def model(served):
    return kickbert.load(served / "one", backend="torch")


@pytest.mark.system
def test_it_needs_neither_fastai_nor_torch_to_be_imported():
    code = """
import sys, kickbert.inference.predictor, kickbert.inference.batch_prediction
print([m for m in ("torch", "fastai", "transformers", "sklearn", "matplotlib") if m in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_predictions_are_in_the_order_of_the_texts(model):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["warm", "cold", "film", "story"], rng.integers(1, 40))) for _ in range(200)]
    texts += texts[:20]  # duplicates are predicted only once
    probs = model.predict_proba(texts, batch_size=7)
    assert probs.shape == (220, 2) and probs.dtype == np.float32
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-5)
    one_by_one = np.concatenate([model.predict_proba([text]) for text in texts[::17]])
    np.testing.assert_allclose(probs[::17], one_by_one, atol=1e-5)
    assert model.predict(texts) == [model.labels[i] for i in probs.argmax(1)]


def test_one_text_has_one_label(model):
    assert model.predict("a warm film") == model.predict(["a warm film"])[0] and model.predict(" ") is None
    described = repr(model)
    assert described.startswith("Predictor\n") and "single label: 2 classes (bad, good)" in described
    assert "; torch\n" in described and "predict(texts)" in described and "<table>" in model._repr_html_()


def test_batches_have_similar_lengths(model, monkeypatch):
    masks = []
    backend = model.backend

    class Watched:
        name, workers, padding_budget = backend.name, 1, 16

        def __call__(self, ids, mask, share):
            masks.append(mask)
            return backend(ids, mask, share)

    monkeypatch.setattr(model, "backend", Watched())
    model.predict([f"film {'cold ' * (i % 50)} {i}" for i in range(200)], batch_size=32)
    assert sum(map(len, masks)) == 200 and max(map(len, masks)) > 1
    assert all((mask == 0).sum() <= 16 and len(mask) <= 32 for mask in masks)


@pytest.mark.parametrize("task", ["single label", "multi-label", "regression"])
@pytest.mark.filterwarnings("ignore:.*without text")
def test_rows_without_text_have_no_prediction(make, reviews, tmp_path, task):
    labels = {"multi-label": [[name] for name in reviews["label"]], "regression": np.arange(120.0)}
    df = reviews.assign(label=labels.get(task, reviews["label"]))
    learn = make(df, cleaning=["remove_html"], **({} if task == "single label" else {"task": task}))
    predictor = kickbert.load(learn.save_artifact(tmp_path / "k"), backend="torch")
    rows = pd.DataFrame({"text": ["a film", None, "", " \n", "<br>"]})
    expected = [False, True, True, True, True]
    assert [label is None for label in predictor.predict(rows)] == expected
    assert [label is None for label in predictor.predict(["a film", "", " ", "\t", "<p></p>"])] == expected
    for model in (learn, predictor):
        assert model.predict_df(rows).isna().all(axis=1).tolist() == expected
        assert model.read(rows)[1].tolist() == expected
    rows.to_csv(tmp_path / "rows.csv", index=False)
    done = predict_file(predictor, tmp_path / "rows.csv", tmp_path / "out.csv")
    assert done.rows == 5 and done.without_text == 4 and done.first_without_text == [1, 2, 3, 4]


def test_unusual_inputs(model, served):
    assert model.predict([]) == [] and model.predict_proba([]).shape == (0, 2)
    odd = ["", " ", "\x00", "a" * 1_000_000, "😀" * 300, "</s><s>", "\ud800"]
    assert len(model.predict(odd)) == len(odd)
    with pytest.warns(UserWarning, match="3 cells of .* not of type str"):
        model.predict([1, 2.5, b"bytes"])
    with pytest.raises(TypeError, match="must be a list of texts or a DataFrame, not a single str"):
        model.predict_proba("a text")
    with pytest.raises(ValueError, match="batch_size=0"):
        model.predict(["a"], batch_size=0)
    with pytest.raises(ValueError, match="Did you mean 'txet'"):
        model.predict_df(pd.DataFrame({"txet": ["a"]}))
    assert model.predict_df(pd.DataFrame({"text": []})).empty
    two = kickbert.load(served / "two", backend="torch")
    assert two.predict([("a", "b"), {"text": "a", "more": "b"}]) == two.predict([{"text": "a", "more": "b"}] * 2)
    with pytest.raises(ValueError, match="has 3 texts; this model reads 2"):
        two.predict([("a", "b", "c")])


def test_a_pickled_predictor_is_loaded_once_from_its_folder(served, tmp_path, monkeypatch):
    folder = shutil.copytree(served / "one", tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    model = kickbert.load("one", backend="torch")
    pickled = pickle.dumps(model.predict_df)
    assert len(pickled) < 1_000
    monkeypatch.chdir("/")
    rows = pd.DataFrame({"text": ["a warm film", "a cold one"]})
    predict_df = pickle.loads(pickled)
    pd.testing.assert_frame_equal(predict_df(rows), model.predict_df(rows))
    assert predict_df.__self__.backend.name == "torch" and pickle.loads(pickled).__self__ is predict_df.__self__
    reopen.cache_clear()
    manifest = folder / "v1" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"head.safetensors"', '"no.safetensors"'))
    with pytest.raises(kickbert.ArtifactError, match="contains a different model than when"):
        pickle.loads(pickled)


def test_words(model):
    explanation = model.explain("a bright, warm film", "good")
    assert explanation.words == ["a", "bright,", "warm", "film"] and explanation.label == "good"
    without = model.predict_proba(["a bright, <mask> film".replace("<mask>", "\x00")])  # any other text
    assert explanation.value == pytest.approx(model.predict_proba(["a bright, warm film"])[0, 1], abs=1e-5)
    assert without.shape == (1, 2)
    with pytest.raises(ValueError, match="is not a class"):
        model.explain("a", "none")


def test_the_fingerprint_depends_on_model_and_backend(served):
    one, again, other = (kickbert.load(served / name, backend="torch") for name in ("one", "one", "two"))
    assert one.fingerprint == again.fingerprint != other.fingerprint
    assert kickbert.load(served / "one", backend="torch-bf16").fingerprint != one.fingerprint


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_predictor_that_was_used_before_a_fork(graph, saved):
    model = Predictor(read_artifact(saved), OnnxBackend(graph[0], "onnx", 2))
    texts = [f"film {i}" for i in range(200)]
    model.predict_proba(texts)
    child = multiprocessing.get_context("fork").Process(target=model.predict_proba, args=(texts,))
    child.start()
    child.join(60)
    code = child.exitcode  # None while it hangs
    child.kill()
    assert code == 0
