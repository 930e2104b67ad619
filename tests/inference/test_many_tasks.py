"""Several tasks on one encoder predict as each model does alone, and models that cannot share it are refused."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.artifacts import reseal

import kickbert
from kickbert.inference.many_tasks import shares_pass
from kickbert.models.artifact.reading import read_artifact
from kickbert.models.side_network import CHANNELS

TASKS = {
    "sentiment": {},
    "size": {"label_col": "amount", "bins": 3, "pooling": "mean"},
    "tags": {"label_col": "tags"},
    "price": {"label_col": "amount", "task": "regression", "head_layers": 2},
}
TEXTS = ["a bright, warm film", None, "a dull film and so on " * 12, "  ", "a real bore", "a bright, warm film"]


def save(learn, folder, side: bool):
    """Save a model with a random head, a temperature, and thresholds for several labels."""
    learn.model.use_side(side)
    for linear in [learn.model.head.classifier, *([learn.model.head.side.classifier] if side else [])]:
        torch.nn.init.normal_(linear.weight)
    version = learn.save_artifact(folder)
    info = json.loads((version / "kickbert.json").read_text())
    info["temperature"] = 1.7
    if isinstance(info["thresholds"], list) or info["task"] == "multi-label":
        info["thresholds"] = [0.3, 0.6, 0.5][: len(learn.text_dls.target.names)]
    (version / "kickbert.json").write_text(json.dumps(info))
    reseal(version)
    return folder


@pytest.fixture(scope="module")
def tasks(tiny, tmp_path_factory):
    """Folders of four tasks on one frozen encoder; two have side networks."""
    home, rows = tmp_path_factory.mktemp("tasks"), 40
    df = pd.DataFrame({"text": [f"a film no {i}" for i in range(rows)], "label": ["good", "bad"] * (rows // 2)})
    tags = [["x"] if i % 3 else ["x", "y"] for i in range(rows)]
    df = df.assign(amount=np.random.default_rng(0).lognormal(3, 1, rows), tags=tags)
    torch.manual_seed(0)
    for i, (name, how) in enumerate(TASKS.items()):
        learn = kickbert.learner_from_df(df, model=tiny, precision="fp32", path=home, **how)
        save(learn, home / name, side=i % 2 == 0)
    for name, how in {"a": {}, "b": {"label_col": "amount", "task": "regression"}}.items():
        windows = {"long": "windows", "max_length": 16, "stride": 4}
        learn = kickbert.learner_from_df(df, model=tiny, precision="fp32", path=home, **windows, **how)
        save(learn, home / "windows" / name, side=name == "a")
    return home


def folders(tasks):
    return [tasks / name for name in TASKS]


def check(many, alone):
    """Compare all predictions with those of the single predictors."""
    df = pd.DataFrame({"text": TEXTS}, index=[f"row {i}" for i in range(len(TEXTS))])
    probs, labels, frames = many.predict_proba(TEXTS), many.predict(TEXTS), many.predict_df(df)
    assert list(probs) == list(labels) == list(frames) == list(alone)
    for name, model in alone.items():
        np.testing.assert_allclose(probs[name], model.predict_proba(TEXTS), atol=1e-5)
        pd.testing.assert_frame_equal(frames[name], model.predict_df(df), atol=1e-4)
        assert [label is None for label in labels[name]] == [False, True, False, True, False, False]
        if model.task != "regression":
            assert labels[name] == model.predict(TEXTS)


def test_it_predicts_as_each_model_does_alone(tasks):
    many = kickbert.load_many(folders(tasks), "torch")
    assert list(many) == list(TASKS) and len(many) == 4 and many.text_col == ["text"]
    check(many, {name: kickbert.load(tasks / name, "torch") for name in TASKS})
    assert many.predict("a real bore") == {name: labels[0] for name, labels in many.predict(["a real bore"]).items()}
    assert many.predict([]) == {name: [] for name in TASKS}
    assert many.predict_proba([])["size"].shape == (0, 3)
    assert "one pass for all tasks; torch" in repr(many) and "tags" in repr(many)


def test_windows(tasks):
    names = {name: tasks / "windows" / name for name in ("a", "b")}
    check(kickbert.load_many(names, "torch"), {name: kickbert.load(path, "torch") for name, path in names.items()})


def test_the_encoder_runs_once_per_batch(tasks):
    many, calls = kickbert.load_many(folders(tasks), "torch"), []
    many.backend.model.encoder.layers[0].register_forward_hook(lambda *_: calls.append(1))
    many.predict_df(pd.DataFrame({"text": ["a real bore", "a real film"]}))
    assert len(calls) == 1
    assert many["sentiment"].explain("a bright film").words == ["a", "bright", "film"]  # each task is a predictor


def test_names(tasks):
    first = tasks / "sentiment"
    assert list(kickbert.load_many(first, "torch")) == ["sentiment"]
    assert list(kickbert.load_many([first / "v1"], "torch")) == ["sentiment"]
    assert list(kickbert.load_many({"x": first, "y": first}, "torch")) == ["x", "y"]
    with pytest.raises(ValueError, match=r"two models are named 'sentiment'; .* or give a dict"):
        kickbert.load_many([first, first])
    for nothing in ([], {}):
        with pytest.raises(ValueError, match="there is no model"):
            kickbert.load_many(nothing)
    with pytest.raises(kickbert.ArtifactError, match="nowhere"):
        kickbert.load_many([first, tasks / "nowhere"])


def test_another_encoder_is_refused(tasks, make, reviews, tmp_path):
    learn = make(reviews)
    with torch.no_grad():
        next(learn.model.encoder.parameters()).add_(0.1)
    other = learn.save_artifact(tmp_path / "other")
    with pytest.raises(ValueError, match=r"'other' cannot share .* 'sentiment'; they differ in weights\. .*\"fast\""):
        kickbert.load_many([tasks / "sentiment", other])
    with pytest.raises(ValueError, match=r"differ in max_length \(64 and 16\), long \(truncate and windows\)"):
        kickbert.load_many([tasks / "sentiment", tasks / "windows" / "a"])
    first = read_artifact(tasks / "sentiment")
    assert shares_pass(first, read_artifact(tasks / "price"), "torch")
    assert not shares_pass(first, read_artifact(other), "torch")


def test_backends(tasks, monkeypatch):
    with pytest.raises(kickbert.ArtifactError, match=r"needs model\.onnx, which is not in .*sentiment"):
        kickbert.load_many(folders(tasks), "onnx")
    with pytest.raises(ValueError, match="is not one of"):
        kickbert.load_many(folders(tasks), "tensorflow")
    with pytest.raises(ValueError, match=r"min_confidence=0\.5 needs one label per row"):
        kickbert.load_many(folders(tasks), "torch").predict_df(pd.DataFrame({"text": ["a"]}), min_confidence=0.5)
    with pytest.raises(ValueError, match=r"not a column of df"):
        kickbert.load_many(folders(tasks), "torch").predict_df(pd.DataFrame({"txet": ["a"]}))


@pytest.mark.system
def test_exported_models_share_one_graph(tasks, tmp_path):
    onnx = pytest.importorskip("onnx", reason="the extra kickbert[export] is not installed")
    from kickbert.inference.backends.graph_merging import merge_graphs

    names = ("sentiment", "price")
    home = shutil.copytree(tasks, tmp_path / "exported")
    alone = [home / name for name in names]
    kickbert.export(alone[0], pd.DataFrame({"text": TEXTS}), ["onnx-int8"], force=True)
    with pytest.warns(UserWarning, match=r"no model\.int8\.onnx in .*price/v1, so int8 is not used"):
        assert kickbert.load_many(alone).backend.name.startswith("torch")
    kickbert.export(alone[1], pd.DataFrame({"text": TEXTS}), ["onnx-int8"], force=True)
    many = kickbert.load_many(alone)
    assert many.backend.name == "onnx-int8"
    check(many, {name: kickbert.load(home / name, "onnx-int8") for name in names})
    files = [home / name / "v1" / "model.int8.onnx" for name in names]
    tensors = onnx.load_from_string(merge_graphs(files)).graph.initializer
    of_encoder = [t for t in onnx.load(files[0]).graph.initializer if CHANNELS not in t.dims]
    embeddings = max(of_encoder, key=lambda tensor: np.prod(tensor.dims))
    assert [list(tensor.dims) for tensor in tensors].count(list(embeddings.dims)) == 1
