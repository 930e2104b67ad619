"""From a DataFrame to predictions, for every kind of target; errors and warnings."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.schedule import SchedCos
from fastai.interpret import Interpretation
from fastai.learner import load_learner
from huggingface_hub import constants
from transformers import AutoModel

import kickbert
from kickbert import Phase, gradual_unfreezing
from kickbert.utils import hub

PHASES = [Phase("everything", 0, 12, 4e-3)]


@pytest.fixture
def amounts(reviews) -> pd.DataFrame:
    """Good reviews raise more, on a scale of money."""
    rng = np.random.default_rng(0)
    raised = np.where(reviews["label"] == "good", 8, 4) + rng.normal(0, 0.3, len(reviews))
    return reviews.assign(amount=np.exp(raised).round(2))


def test_buckets_are_ordered_and_have_an_expected_value(make, amounts, capsys):
    learn = make(amounts, label_col="amount", bins=2, bin_format="$")
    assert capsys.readouterr().out.startswith("ordinal: 2 buckets (under $")
    ladder = learn.fit_gradual(PHASES)
    assert ladder["quadratic kappa"].iloc[-1] > 0.8
    out = learn.predict_df(amounts)
    assert out.columns[:3].tolist() == ["predicted_label", "confidence", "expected"]
    good = out["expected"][amounts["label"] == "good"].median()
    assert good > 5 * out["expected"][amounts["label"] == "bad"].median()
    assert np.allclose(out.filter(like="prob_").sum(axis=1), 1, atol=1e-5)
    plain = make(amounts, label_col="amount", bins=2, task="single label")
    assert plain.dls.target.task == "single label" and plain.model.head.classifier.out_features == 2


def test_a_number(make, amounts, capsys):
    learn = make(amounts, label_col="amount", task="regression")
    assert "regression: 'amount'" in capsys.readouterr().out
    ladder = learn.fit_gradual(PHASES)
    assert ladder["R2"].iloc[-1] > 0 and ladder["mean absolute error"].iloc[-1] < amounts["amount"].std()
    out = learn.predict_df(amounts)
    assert out.columns.tolist() == ["predicted_label"] and out.index.equals(amounts.index)
    assert (
        out["predicted_label"][amounts["label"] == "good"].median()
        > 5 * out["predicted_label"][amounts["label"] == "bad"].median()
    )
    learn.show_results(max_n=2)
    assert learn.predict("a bright, warm film")[0] == pytest.approx(
        learn.predict_df(pd.DataFrame({"text": ["a bright, warm film"]}))["predicted_label"][0], rel=1e-4
    )


@pytest.fixture
def several(reviews) -> pd.DataFrame:
    """Two labels: the opinion, and whether the number is even; none for some rows."""
    labels = [
        [*(["good"] if label == "good" else []), *(["story"] if "story" in text else [])]
        for text, label in zip(reviews["text"], reviews["label"], strict=True)
    ]
    return reviews.assign(label=labels)


def test_several_labels_as_lists_strings_and_columns(make, several):
    as_text = several.assign(label=several["label"].map(lambda names: "|".join(names) or "|"))
    as_columns = several.assign(**{n: [int(n in labels) for labels in several["label"]] for n in ("good", "story")})
    multi_hot = several.assign(label=[[int("good" in row), int("story" in row)] for row in several["label"]])
    ways = [(several, {}), (as_text, {"label_delim": "|"}), (as_columns, {"label_col": ["good", "story"]})]
    ways.append((multi_hot, {"labels": ["good", "story"]}))
    targets = []
    for df, how in ways:
        learn = make(df, **how)
        assert learn.dls.target.names == ["good", "story"]
        targets.append(learn.dls.target.encode(df[how.get("label_col", "label")]))
        assert len(learn.dls.train_ds) + len(learn.dls.valid_ds) == len(df)  # rows of no label count
    assert all((targets[0] == codes).all() for codes in targets[1:])


def test_several_labels_are_learned_and_their_thresholds_tuned(make, several, tmp_path, capsys):
    learn = make(several)
    assert learn.gradient_clip.max_norm == 1
    ladder = learn.fit_gradual(PHASES)
    assert ladder["macro-F1"].iloc[-1] > 0.8
    thresholds = learn.loss_func.thresh
    assert thresholds.shape == (2,) and learn.tune_thresholds().index.tolist() == ["good", "story"]
    out = learn.predict_df(several)
    probs = out.filter(like="prob_").to_numpy()
    assert out["predicted_label"].tolist() == [
        [n for n, yes in zip(["good", "story"], row, strict=True) if yes] for row in probs >= thresholds
    ]
    learn.show_results(max_n=3)
    learn.export(tmp_path / "learn.pkl")
    again = load_learner(tmp_path / "learn.pkl")
    assert again.predict_df(several)["predicted_label"].tolist() == out["predicted_label"].tolist()
    assert learn.predict("I loved this story")[0] is not None


def test_a_label_that_training_never_saw_is_left_out(make, several):
    df = several.assign(part=["train"] * 80 + ["valid"] * 40)
    df.at[100, "label"] = ["good", "new"]
    with pytest.warns(
        UserWarning, match=r"1 row with a label that is not in the training set \(\['new'\]\): \[100\]; those"
    ):
        learn = make(df, valid="part")
    assert len(learn.dls.valid_ds) == 40


def test_splits_give_each_label_its_share(make):
    rng = np.random.default_rng(0)
    labels = [[n for n, p in (("often", 0.5), ("seldom", 0.06)) if rng.random() < p] for _ in range(400)]
    df = pd.DataFrame({"text": [f"a film no {i}" for i in range(400)], "label": labels})
    learn = make(df, valid=0.25)
    train, valid = (dl.rows[1].float().mean(0) for dl in learn.dls.loaders)
    assert torch.allclose(train.as_subclass(torch.Tensor), valid.as_subclass(torch.Tensor), atol=0.02)


@pytest.mark.parametrize("loss", ["cross_entropy", "label_smoothing", "focal"])
def test_losses_weights_and_sampling(make, reviews, loss):
    df = reviews.drop(reviews.index[reviews["label"] == "bad"][:48])
    learn = make(df, loss=loss, class_weights="balanced", sampling="balanced")
    weight = learn.loss_func.func.weight
    assert weight[learn.dls.target.names.index("bad")] > 2 * weight[learn.dls.target.names.index("good")]
    drawn = torch.cat([y for _ in range(6) for _, y in learn.dls.train]).float().mean()
    assert 0.35 < drawn < 0.65
    learn.fit_gradual()


@pytest.mark.parametrize("optimizer", ["adamw", "lamb", "adafactor", "radam"])
@pytest.mark.parametrize("shape", ["linear", "cosine", "constant", SchedCos(1.0, 0.1)])
def test_optimizers_and_schedules(make, reviews, optimizer, shape):
    learn = make(reviews, optimizer=optimizer)
    ladder = learn.fit_gradual(gradual_unfreezing(4, layers=(0, 2), epochs=(1, 1), lr=1e-3, shape=shape))
    assert np.isfinite(ladder["train_loss"]).all()
    learn.fit_one_cycle(1, 1e-3)


def test_a_single_predicted_class_causes_a_warning(make, reviews):
    df = pd.concat([reviews[reviews["label"] == "good"], reviews[reviews["label"] == "bad"].head(12)])
    learn = make(df, valid=0.4)
    with pytest.warns(UserWarning, match=r"the model predicts '(good|bad)' for all \d+ validation rows.*class_weights"):
        learn.fit_gradual([Phase("head", 3, 1, 1e-5)])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"optimizer": "adam_w"}, "Did you mean 'adamw'"),
        ({"loss": "bce"}, "losses for task 'single label'"),
        ({"task": "regresion"}, "task='regresion' is not one of"),
        ({"class_weights": {"ugly": 2}}, "unknown class 'ugly'"),
        ({"cleaning": "atuo"}, "cleaning='atuo' is not 'auto'"),
        ({"long": "split"}, "long='split'"),
        ({"label_col": ["label", "other"]}, "each must hold 0 and 1"),
        ({"sampling": "even"}, "sampling='even' must be None or 'balanced'"),
    ],
)
def test_bad_arguments(make, reviews, how, message):
    with pytest.raises(ValueError, match=message):
        make(reviews.assign(other="x"), **how)


def test_bad_augmenter(make, reviews):
    with pytest.raises(TypeError, match=r"augment='eda' is not an Augmenter; pass kickbert.text.EDA\(\)"):
        make(reviews, augment="eda")


@pytest.mark.parametrize("how", [{"bins": 2}, {"task": "regression"}])
def test_amounts_outside_the_training_range(make, amounts, how):
    learn = make(amounts, label_col="amount", **how)
    later = amounts.head(3).assign(amount=[-5.0, 0.0, 1e12])
    dl = learn.dls.test_dl(later, with_labels=True)
    assert torch.isfinite(learn.get_preds(dl=dl, with_loss=True)[-1]).all()
    with pytest.raises(ValueError, match="1 of 3 cells of 'amount' are not finite"):
        learn.dls.test_dl(later.assign(amount=[1.0, np.inf, 2.0]), with_labels=True)


@pytest.mark.parametrize("task", ["multi-label", "regression"])
def test_the_largest_losses(make, amounts, several, task, capsys):
    how = {"label_col": "amount", "task": task} if task == "regression" else {}
    learn = make(amounts if task == "regression" else several, **how)
    capsys.readouterr()
    Interpretation.from_learner(learn).plot_top_losses(3)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 4 and "loss" in shown[0] and "probability" not in shown[0]
    losses = [float(line.split()[-1]) for line in shown[1:]]
    assert losses == sorted(losses, reverse=True)


def test_cleaning_is_replayed_when_predicting(make, reviews):
    messy = reviews.assign(text=["<p>" + t.upper() + "</p>" for t in reviews["text"]])
    steps = ["remove_html", "convert_to_lowercase"]
    learn, plain = make(messy, cleaning=steps), make(reviews.assign(text=reviews["text"].str.lower()))
    assert (learn.dls.train.rows[0].flat == plain.dls.train.rows[0].flat).all()
    a, b = learn.predict_df(messy), learn.predict_df(reviews)
    assert np.allclose(a.filter(like="prob_"), b.filter(like="prob_"))


def test_custom_tokenizer_rate_decay_and_device(make, reviews, tiny, tiny_tok, tmp_path):
    bare = tmp_path / "bare"
    AutoModel.from_pretrained(tiny).save_pretrained(bare)  # weights without a tokenizer
    with pytest.raises(ValueError, match="has no tokenizer"):
        make(reviews, model=bare)
    limit = tiny_tok.model_max_length
    for tokenizer in (tiny_tok, tiny):
        learn = make(reviews, model=bare, tokenizer=tokenizer, lr=3e-3, wd=0.2, device="cpu")
        assert (learn.lr, learn.wd, learn.dls.device.type) == (3e-3, 0.2, "cpu")
        assert learn.dls.tokenizer.hf is not tiny_tok and tiny_tok.model_max_length == limit
    learn.fit_one_cycle(1)
    assert max(learn.recorder.lrs) == pytest.approx(3e-3, rel=0.1)
    assert learn.opt.hypers[0]["wd"] == 0.2
    folder = learn.save_artifact(tmp_path / "k")
    assert kickbert.load(folder, backend="torch").predict(["a real bore"]) == [learn.predict("a real bore")[0]]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"device": "warp:9"}, ValueError, r"device='warp:9' is not available \(.*\)\. Use "),
        ({"tokenizer": 7}, TypeError, "tokenizer is not a tokenizer but of type int"),
        (
            {"portable": True, "pooling": "mean"},
            ValueError,
            "portable=True is not possible: transformers does not pool by 'mean'",
        ),
        (
            {"portable": True, "long": "windows"},
            ValueError,
            "transformers does not read documents in windows. Omit portable",
        ),
    ],
)
def test_unavailable_options(make, reviews, options, error, message):
    with pytest.raises(error, match=message):
        make(reviews, **options)


CODE = "raise SystemExit('this code must not be run')"
OWN_CODE = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "funnel"}, "model type 'funnel' is not supported. Supported:"),
        ({"model_type": "no-such-type"}, r"is not supported \(.*no-such-type.*\). Supported:"),
        (OWN_CODE, r"comes with its own Python code, which is not run\. .* trust_remote_code=True"),
    ],
)
def test_an_architecture_is_refused_before_anything_else_is_read(make, reviews, tmp_path, config, message):
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))  # neither weights nor a tokenizer
    (folder / "mine.py").write_text(CODE)
    with pytest.raises(ValueError, match=message):
        make(reviews, model=folder)


def test_a_revision_of_a_hub_model(tiny, make, reviews, tmp_path, monkeypatch):
    """The Hub's cache layout with two revisions."""
    repo = tmp_path / "models--someone--tiny"
    (repo / "refs").mkdir(parents=True)
    for revision, epsilon in (("main", 1e-5), ("wide", 1e-3)):
        commit = hashlib.sha1(revision.encode()).hexdigest()
        (repo / "refs" / revision).write_text(commit)
        file = Path(shutil.copytree(tiny, repo / "snapshots" / commit)) / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"layer_norm_eps": epsilon}))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    learners = [make(reviews, model="someone/tiny", **how) for how in ({}, {"revision": "wide"})]
    assert [learn.model.encoder.body.config.layer_norm_eps for learn in learners] == [1e-5, 1e-3]
    with pytest.raises(ValueError, match="it is not in the local cache"):
        make(reviews, model="someone/tiny", revision="none")


@pytest.fixture
def default(tiny, monkeypatch) -> str:
    """Let the tiny model be the default encoder."""
    monkeypatch.setattr(hub, "_default_model", lambda: tiny)
    return tiny


def test_without_a_model_tokenizer_and_encoder_are_those_of_the_default(default, reviews, tmp_path):
    dls = kickbert.TextDataLoaders.from_df(reviews, path=tmp_path)
    learners = [kickbert.text_learner(dls), kickbert.learner_from_df(reviews, path=tmp_path)]
    for learn in learners:
        assert learn.dls.model == default and learn.model.encoder.width == 32 and learn.dls.tokenizer.max_length == 64
        assert learn.metadata["encoder"]["name"] == Path(default).name
    assert kickbert.data.TextTokenizer().hf.get_vocab() == dls.tokenizer.hf.get_vocab()
    assert kickbert.load(learners[0].save_artifact(tmp_path / "k")).metadata["encoder"]["name"] == Path(default).name


def test_a_model_chosen_after_the_texts_were_tokenized_for_the_default(default, reviews):
    with pytest.raises(ValueError, match=r"model='minilm', but the texts were tokenized for"):
        kickbert.text_learner(kickbert.TextDataLoaders.from_df(reviews), model="minilm")
