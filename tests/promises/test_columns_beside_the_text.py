"""Columns beside the text: read in training and in everything after it, by the same rules."""

import json
import pickle
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from helpers.campaigns import BESIDE, campaigns

import kickbert
from kickbert import Phase
from kickbert.models.artifact.reading import read_artifact
from kickbert.models.artifact.vocabulary import trim_vocabulary


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """A learner, the folder of its artifact, and new rows."""
    home = tmp_path_factory.mktemp("columns")
    df = campaigns(240)
    learn = kickbert.learner_from_df(df, **BESIDE, model=tiny, path=home, precision="fp32", bs=16)
    learn.fit_gradual([Phase("head", 3, 1, 2e-3, head="solved"), Phase("last layer", 2, 1, 1e-6)])
    learn.save_artifact(home / "model")
    return learn, home / "model", campaigns(40, seed=1)


def probabilities(predictions: pd.DataFrame) -> np.ndarray:
    return predictions.filter(like="prob_").to_numpy()


def test_offsets_are_added_in_training_validation_and_prediction(trained):
    learn, _, new = trained
    dl = learn.dls.test_dl(new)
    with_offsets = learn.get_preds(dl=dl)[0]
    dl.offsets = None
    text_alone = learn.get_preds(dl=dl)[0]
    temperature = learn.loss_func.temperature
    shifted = learn.target.shift(text_alone.numpy(), learn.columns.offsets(new), temperature)
    assert np.allclose(with_offsets.numpy(), shifted, atol=1e-6)
    assert not np.allclose(with_offsets.numpy(), text_alone.numpy(), atol=0.05)
    assert learn.dls.train.offsets.shape == (len(learn.dls.train_ds), 3)
    own = learn.columns.offsets(campaigns(240))
    assert not np.isin(learn.dls.train.offsets.numpy()[:5], own).any()  # out of fold


def test_the_head_is_solved_with_the_offsets_in_place(make):
    """Where the columns tell everything, the text has nothing to add, and its head stays near zero."""
    df = campaigns(200)
    df["label"] = np.where(df["goal"] > 1_000, "much", "little")
    weights = []
    for columns in ({}, {"cont_names": ["goal"]}):
        learn = make(df.assign(text=df["text"] + np.where(df["goal"] > 1_000, " rich", " poor")), **columns)
        learn.fit_gradual(learn.phases()[:1], calibrate=False)
        weights.append(float(learn.model.head.classifier.weight.detach().norm()))
    assert weights[1] < weights[0]


def test_learner_artifact_and_another_process_predict_alike(trained, tmp_path):
    learn, folder, new = trained
    odd = new.assign(category=["unseen", None, *new["category"][2:]], goal=[np.nan, None, *new["goal"][2:]])
    for rows in (new, odd, new[:1], new[:0]):
        expected = probabilities(learn.predict_df(rows))
        model = kickbert.load(folder, "torch")
        assert np.allclose(probabilities(model.predict_df(rows)), expected, atol=1e-5)
        assert np.allclose(probabilities(pickle.loads(pickle.dumps(model)).predict_df(rows)), expected, atol=1e-5)
        continued = kickbert.learner_from_artifact(folder, campaigns(60), path=tmp_path)
        assert np.allclose(probabilities(continued.predict_df(rows)), expected, atol=1e-5)
    assert model.predict(new.to_dict("records")) == learn.predict_df(new)["predicted_label"].tolist()
    assert "text + category + goal + launched → label" in repr(model) and "category (category)" in model.artifact.card
    assert json.loads((model.artifact.folder / "manifest.json").read_text())["format"] == 2


def test_onnx_predicts_alike(trained):
    learn, folder, new = trained
    table = kickbert.export(folder, campaigns(240), ["onnx"])
    assert table["format"].tolist() == ["torch", "onnx"]
    new = new.assign(goal=[np.nan, *new["goal"][1:]])
    model = kickbert.load(folder, "onnx")
    # The head of this random encoder has large weights, which enlarge rounding.
    assert np.allclose(probabilities(model.predict_df(new)), probabilities(learn.predict_df(new)), atol=1e-4)


def test_a_missing_column_is_refused_or_imputed_everywhere(trained):
    learn, folder, new = trained
    gone = new.drop(columns="goal")
    for call in (learn.predict_df, kickbert.load(folder, "torch").predict_df, kickbert.load(folder, "torch").predict):
        with pytest.raises(ValueError, match="column 'goal', which the model reads beside the text, is missing"):
            call(gone)
    with pytest.raises(ValueError, match="give a DataFrame or a list of dicts"):
        kickbert.load(folder, "torch").predict(["a good film"])
    lenient = kickbert.load(folder, "torch", missing="impute")
    expected = probabilities(learn.predict_df(new.assign(goal=None)))
    assert np.allclose(probabilities(lenient.predict_df(gone)), expected, atol=1e-5)
    again = pickle.loads(pickle.dumps(lenient))
    assert np.allclose(probabilities(again.predict_df(gone)), expected, atol=1e-5)


def test_evaluation_compares_with_the_columns_alone(trained):
    learn, folder, new = trained
    offsets = learn.columns.offsets(new)
    right = (offsets.argmax(1) == learn.target.encode(new["label"])).mean()
    for model in (learn, kickbert.load(folder, "torch")):
        scores = kickbert.evaluate(model, new).scores.set_index("score")
        assert scores.loc["accuracy", "columns alone"] == pytest.approx(right)
    assert "columns alone" in kickbert.evaluate(learn).scores


def test_an_explanation_has_words_and_columns_on_one_scale(trained):
    learn, folder, new = trained
    row = new.to_dict("records")[0] | {"category": "Games", "goal": 9_000.0}
    methods = [(learn, "occlusion"), (kickbert.load(folder, "torch"), "occlusion")]
    if find_spec("captum"):  # of kickbert[explain]
        methods.append((learn, "gradients"))
    for model, method in methods:
        explanation = model.explain(row, "high", method=method)
        assert list(explanation.columns) == ["category", "goal", "launched"]
        assert explanation.columns["category"] > max(0, *map(abs, explanation.scores))
        assert explanation.to_frame()["word"].tolist()[-3:] == ["category", "goal", "launched"]
        assert "columns: category +" in repr(explanation) and ">goal</mark>" in explanation.to_html()
    shown = learn.predict_df(pd.DataFrame([row]))["prob_high"].item()
    assert learn.explain(row, "high", method="occlusion").value == pytest.approx(shown, abs=1e-4)


def test_folds_and_folders_of_folds_know_the_columns(tiny, tmp_path):
    df = campaigns(90)
    options = {**BESIDE, "model": tiny, "path": tmp_path, "bs": 16, "folds": 3, "folder": tmp_path / "cv"}
    result = kickbert.cross_validate(df, fit=lambda learn: None, name="none", **options)
    assert len(result.predictions) == 90
    changed = df.assign(goal=df["goal"].to_numpy()[::-1])
    other = kickbert.cross_validate(changed, fit=lambda learn: None, name="none", **options)
    assert len(list((tmp_path / "cv").iterdir())) == 2  # other columns are another experiment
    assert not np.allclose(result.predictions.probs, other.predictions.probs)


def test_ordered_buckets_several_labels_and_numbers(make):
    df = campaigns(120)
    high = df["label"] == "high"
    targets = {
        "bins": (df["goal"] * np.where(high, 3, 1), {"bins": 3}),
        "several labels": (pd.Series([["high", "x"] if h else ["low"] for h in high]), {}),
        "number": (pd.Series(np.where(high, 9.0, 1.0) + np.arange(120) / 1000), {}),
    }
    for values, options in targets.values():
        learn = make(df.assign(label=values), **BESIDE, **options)
        learn.fit_gradual(learn.phases()[:1])
        scores = kickbert.evaluate(learn).scores.set_index("score")
        main = learn.target.shown_scores[0]
        assert scores.loc[main, "model"] > scores.loc[main, "columns alone"] - 0.25


def test_few_labels_and_students_read_text_alone_and_say_so(trained, make):
    learn, folder, new = trained
    with pytest.raises(ValueError, match=r"fit_few reads text alone, and this learner reads \['category', 'goal'"):
        learn.fit_few()
    with pytest.raises(ValueError, match=r"a student reads text alone\. Train a teacher without these columns"):
        kickbert.distill(kickbert.load(folder, "torch"), new)


def test_files_are_predicted_with_their_columns(trained, tmp_path):
    learn, folder, new = trained
    new.to_csv(tmp_path / "new.csv", index=False)
    model = kickbert.load(folder, "torch")
    done = kickbert.inference.predict_file(model, tmp_path / "new.csv", tmp_path / "out.csv")
    assert done.rows == 40
    written = pd.read_csv(tmp_path / "out.csv")
    assert np.allclose(probabilities(written), probabilities(learn.predict_df(new)), atol=1e-5)
    new.drop(columns="goal").to_csv(tmp_path / "less.csv", index=False)
    with pytest.raises(ValueError, match=r"less.csv has no column 'goal'"):
        kickbert.inference.predict_file(model, tmp_path / "less.csv", tmp_path / "out.csv")


def test_a_service_has_fields_for_the_columns(trained):
    testclient = pytest.importorskip("starlette.testclient")
    from kickbert.serving import Settings, create_app

    learn, folder, new = trained
    rows = json.loads(new.drop(columns="label").head(3).to_json(orient="records"))
    with testclient.TestClient(create_app(Settings(folder=folder, backend="torch"))) as client:
        answer = client.post("/predict", json={"texts": rows})
        probs = [[p["probabilities"][name] for name in learn.target.names] for p in answer.json()["predictions"]]
        assert np.allclose(probs, probabilities(learn.predict_df(new.head(3))), atol=1e-5)
        assert client.post("/predict", json={"text": rows[0] | {"goal": None}}).status_code == 200
        lacking = {name: cell for name, cell in rows[0].items() if name != "goal"}
        refused = client.post("/predict", json={"text": lacking})
        assert refused.status_code == 422 and "goal" in refused.text
        assert client.post("/predict", json={"text": "a good film"}).status_code == 422
        about = client.get("/model").json()["columns"]
        assert [column["name"] for column in about] == ["category", "goal", "launched"]
        assert set(about[0]["values"]) == {"Games", "Art", "Food"} and about[1]["kind"] == "number"
        explained = client.post("/explain", json={"text": rows[0]}).json()
        assert [entry["column"] for entry in explained["columns"]] == ["category", "goal", "launched"]
        file = client.post("/predict/file", content=new.to_csv(index=False), headers={"Content-Type": "text/csv"})
        assert file.headers["X-Rows"] == "40"


def test_keys_hold_the_columns(trained, make, tmp_path):
    _, folder, _ = trained
    refusing, lenient = (kickbert.load(folder, "torch", missing=missing) for missing in ("refuse", "impute"))
    assert refusing.fingerprint != lenient.fingerprint  # a folder of predictions is not continued with the other
    learn = make(campaigns(60), **BESIDE)
    phases = learn.phases()[:1]
    learn.fit_gradual(phases)
    learn.fit_gradual(phases, resume=True)
    learn.dls.train.offsets = learn.dls.train.offsets + 1
    with pytest.raises(ValueError, match="rows"):
        learn.fit_gradual(phases, resume=True)


def test_an_unknown_way_with_missing_columns_is_an_error_for_any_model(served):
    with pytest.raises(ValueError, match="missing='ignore' is not one of"):
        kickbert.load(served / "one", "torch", missing="ignore")


def test_a_trimmed_vocabulary_keeps_the_columns(trained, tmp_path):
    learn, _, new = trained
    artifact = read_artifact(learn.save_artifact(tmp_path / "model"))
    trimmed = trim_vocabulary(artifact, [*campaigns(240)["text"], *new["text"]])
    predicted = kickbert.load(trimmed.folder, "torch").predict_df(new)
    assert np.allclose(probabilities(predicted), probabilities(learn.predict_df(new)), atol=1e-5)


@pytest.mark.system
def test_a_model_in_mlflow_reads_its_columns(trained, tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="the extra kickbert[track] is not installed")
    from kickbert.experiments import tracking

    learn, folder, new = trained
    tracking.log_run(None, "campaigns", folder=folder, store=tmp_path / "runs")
    predicted = mlflow.pyfunc.load_model("models:/campaigns@champion").predict(new)
    assert np.allclose(probabilities(predicted), probabilities(learn.predict_df(new)), atol=0.02)
