"""Few labels: the contrastive loss, the batches, the head, and the trained model."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.data.all import CategoryBlock, ColReader, DataBlock, RandomSplitter
from sklearn.linear_model import LogisticRegression

import kickbert
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import load_encoder
from kickbert.models.head import Head
from kickbert.training import FewShot, few_shot
from kickbert.training.few_shot import contrastive_loss, draw_rows
from kickbert.training.guard import TrainingDiverged


def test_the_loss_is_zero_where_classes_are_apart_and_one():
    apart = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    assert contrastive_loss(apart, torch.tensor([0, 0, 1, 1])) == 0
    assert contrastive_loss(apart, torch.tensor([0, 1, 0, 1])) == pytest.approx(1 + 0.5)
    assert contrastive_loss(apart, torch.tensor([0, 1, 2, 3])) == pytest.approx(4 / 12)  # no pair of one class


def test_similarity_is_the_jaccard_index():
    hot = torch.tensor([[1.0, 1, 0], [1, 0, 0], [0, 0, 1]])
    same = torch.eye(3)[[0, 0, 1]]
    assert contrastive_loss(same, hot) == pytest.approx(0.25)  # cosine 1 where the Jaccard index is a half


def test_a_batch_has_pairs_of_each_of_its_classes():
    rng, targets = np.random.default_rng(0), np.repeat(np.arange(150), 3)
    seen = set()
    for _ in range(20):
        rows = draw_rows(targets, 64, rng)
        assert len(rows) == len(set(rows)) == 64 and np.unique(targets[rows], return_counts=True)[1].min() >= 2
        seen |= set(targets[rows])
    assert len(seen) > 140
    assert sorted(draw_rows(targets[:9], 64, rng)) == list(range(9))


@pytest.mark.parametrize("classes", [2, 3])
def test_the_head_is_scikit_learns_regression(classes):
    rng = np.random.default_rng(0)
    embeddings, codes = rng.normal(size=(60, 8)), rng.integers(0, classes, 60)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    head = Head(8, classes, "mean", normalize=True).eval()
    head.fit(embeddings, codes, 10.0)
    probs = head.classify(torch.from_numpy(5 * embeddings).float()).softmax(-1).detach().numpy()
    expected = LogisticRegression(C=10).fit(embeddings, codes).predict_proba(embeddings)
    np.testing.assert_allclose(probs, expected, atol=1e-4)


@pytest.mark.parametrize("rows", [2, 20])
def test_from_one_row_per_class_to_an_artifact(make, reviews, rows, tmp_path):
    train = reviews.groupby("label").head(rows // 2)
    parts = ["train"] * len(train) + ["valid"] * 20
    table = pd.concat([train, reviews.tail(20)]).assign(split=parts)
    learn = make(table, valid="split", pooling="mean", labels=["bad", "good"])
    ladder = learn.fit_few(FewShot(layers=1, steps=5, lr=1e-3, names=False))
    assert ladder["phase"].tolist() == (["head"] if rows == 2 else ["head", "last layer, contrastive"])
    probs = learn.predict_proba(reviews)
    assert probs.shape == (len(reviews), 2) and np.isfinite(probs).all()
    saved = kickbert.load(learn.save_artifact(tmp_path / "few"), backend="torch")
    np.testing.assert_allclose(saved.predict_proba(reviews), probs, atol=1e-5)


def test_it_learns_and_is_reproducible(make, reviews):
    few = reviews.groupby("label").head(16)
    table = pd.concat([few, reviews.tail(40)]).assign(split=["train"] * len(few) + ["valid"] * 40)
    probs = []
    for _ in range(2):
        learn = make(table, valid="split", pooling="mean", cache=kickbert.Cache())
        learn.fit_few(FewShot(layers=1, steps=30, lr=3e-3))
        probs.append(learn.predict_proba(reviews))
    assert np.array_equal(*probs)
    codes = (reviews["label"] == "good").to_numpy()
    assert ((probs[0][:, 1] > 0.5) == codes).mean() > 0.8


def test_each_phase_prints_a_line_and_the_repr_names_the_method(make, reviews, capsys):
    learn = make(reviews.head(80), pooling="mean", valid=0.5)
    learn.fit_gradual()
    capsys.readouterr()
    learn.fit_few(FewShot(layers=1, steps=5))
    head, steps = capsys.readouterr().out.splitlines()[-3:-1]  # then the calibration error
    assert re.fullmatch(r"1 head  valid_loss \d\.\d{4}  accuracy \d\.\d{4}  macro-F1 \d\.\d{4}  \d+ s", head)
    assert steps.startswith("2 last layer, contrastive  5 steps  valid_loss ")
    assert "trained by  fit_few: head, then last layer, contrastive\n" in repr(learn)
    assert f"valid_loss {learn.ladder[-1]['valid_loss']:.4f}" in repr(learn)  # and not that of the fit before


def test_without_validation_rows_the_learner_is_trained_too(make, reviews, capsys):
    learn = make(reviews.head(40), pooling="mean", valid=0)
    learn.fit_few(FewShot(layers=1, steps=5))
    assert re.search(r"contrastive  5 steps  \d+ s\n", capsys.readouterr().out)
    assert "not trained" not in repr(learn) and "no validation rows" in repr(learn)
    assert repr(learn).endswith("save_artifact(folder)")


def test_several_labels(make, reviews):
    several = reviews.assign(label=[["a", label] if i % 3 else [label] for i, label in enumerate(reviews["label"])])
    learn = make(several.head(60), pooling="mean")
    learn.fit_few(FewShot(layers=1, steps=5))
    assert learn.predict_proba(several).shape == (120, 3)


def test_unsupported_learners(make, reviews):
    number = make(reviews.assign(label=np.linspace(0, 1, len(reviews))), task="regression")
    with pytest.raises(ValueError, match=r"not for regression\. Use fit_gradual"):
        number.fit_few()
    with pytest.raises(ValueError, match="head with one layer; make the learner with head_layers=1"):
        make(reviews.head(40), head_layers=2).fit_few(FewShot(layers=1, steps=1))


def test_a_loss_that_diverges_leaves_the_weights(make, reviews):
    learn = make(reviews.head(40), pooling="mean")
    before = {name: p.clone() for name, p in learn.model.encoder.named_parameters()}
    with pytest.raises(TrainingDiverged, match="contrastive loss became nan"):
        learn.fit_few(FewShot(layers=1, steps=20, lr=1e30))
    assert all(torch.equal(p, before[name]) for name, p in learn.model.encoder.named_parameters())


RECIPES = (FewShot(layers=0), FewShot(layers=1, steps=20, lr=3e-3, loss="cross entropy"), FewShot(layers=1, steps=20))


def test_held_out_rows_choose_the_recipe_and_weights_are_restored(make, reviews, capsys, monkeypatch):
    few = reviews.groupby("label").head(9)
    learn = make(few, valid=0, pooling="mean")
    rows, before = few_shot.FewRows(learn), {n: p.clone() for n, p in learn.model.named_parameters()}
    chosen = rows.choose(RECIPES)
    line = capsys.readouterr().out
    accuracies = [float(share) for share in re.findall(r"(?:head|entropy|contrastive) (\d\.\d+)", line)]
    assert "accuracy on 3 folds: head" in line and len(accuracies) == 3
    assert chosen == RECIPES[int(np.argmax(accuracies))]
    assert all(torch.equal(p, before[n]) for n, p in learn.model.named_parameters())
    monkeypatch.setattr(few_shot, "ENOUGH", 10)
    judged = make(reviews.assign(split=["train"] * 40 + ["valid"] * 80), valid="split", pooling="mean")
    assert len(judged.fit_few(RECIPES)) in (1, 2)
    assert "accuracy on 80 validation rows" in capsys.readouterr().out
    assert few_shot.FewRows(make(few.groupby("label").head(3), valid=0, pooling="mean")).choose(RECIPES) == RECIPES[-1]


def test_the_ladder_has_the_validation_scores_of_each_phase(make, reviews):
    learn = make(reviews, pooling="mean")
    ladder = learn.fit_few(RECIPES[1])
    assert ladder["phase"].tolist() == ["head", "last layer, cross entropy"]
    probs, codes = learn.get_preds(ds_idx=1)
    assert ladder["accuracy"].iloc[-1] == pytest.approx((probs.argmax(1) == codes).float().mean())
    assert ladder["accuracy"].iloc[-1] > 0.7 and "valid_loss" in ladder


@pytest.mark.parametrize("cache", [True, False])
def test_it_does_the_same_without_a_cache(make, reviews, cache):
    learn = make(reviews.head(40), pooling="mean", cache=cache and kickbert.Cache())
    learn.fit_few(FewShot(layers=1, steps=5))
    probs = learn.predict_proba(reviews)
    again = make(reviews.head(40), pooling="mean", cache=kickbert.Cache(memory=0, disk=0))
    again.fit_few(FewShot(layers=1, steps=5))
    np.testing.assert_allclose(again.predict_proba(reviews), probs, atol=1e-5)


@pytest.mark.parametrize("bad", [{"loss": "triplet"}, {"rows": 1}, {"steps": -1}, {"lr": 0}])
def test_bad_recipes(bad):
    with pytest.raises(ValueError, match=r"is not one of|needs layers"):
        FewShot(**bad)


def test_a_prefix_that_must_not_be_cached_is_computed(make, reviews, capsys):
    few, recipe = reviews.head(40), FewShot(layers=1, steps=3)
    seen, plain = [], make(few, valid=0, pooling="mean")
    hooked = make(few, valid=0, pooling="mean", cache=kickbert.Cache())
    hooked.model.encoder.layers[0].register_forward_hook(lambda *_: seen.append(1))
    for learn in (plain, hooked):
        learn.fit_few(recipe)
    assert len(seen) > 3 and "in each epoch: its modules have hooks" in capsys.readouterr().out
    np.testing.assert_allclose(hooked.predict_proba(reviews), plain.predict_proba(reviews), atol=1e-5)


def test_a_datablocks_learner_raises_an_error(tiny, reviews, tmp_path):
    blocks = (kickbert.data.TextBlock(tiny), CategoryBlock)
    block = DataBlock(blocks, get_x=ColReader("text"), get_y=ColReader("label"), splitter=RandomSplitter(0.2, seed=0))
    encoder = load_encoder(tiny)
    model = TextClassifier(encoder, Head(encoder.width, 2, "mean"))
    learn = kickbert.GradualLearner(block.dataloaders(reviews, bs=16), model, path=tmp_path)
    with pytest.raises(ValueError, match="needs the DataLoaders of learner_from_df"):
        learn.fit_few()


@pytest.mark.parametrize(("rows", "steps"), [(2, 10), (32, 19), (500, 40)])
def test_the_fewer_rows_the_fewer_steps(rows, steps):
    assert FewShot().steps_of(rows) == steps and FewShot(steps=7).steps_of(rows) == 7


def test_a_class_name_that_is_a_word_is_an_additional_row(make, reviews):
    few = reviews.groupby("label").head(3)
    rows = few_shot.FewRows(make(few, valid=0, pooling="mean"))
    assert len(rows.named_rows) == 2 and rows.targets[rows.named_rows].tolist() == [0, 1]
    decode = rows.learn.dls.tokenizer.hf.decode
    assert decode(rows.ids.row(rows.named_rows[1]), skip_special_tokens=True) == "This text is about good."
    assert len(few_shot.FewRows(make(few.replace({"good": "1", "bad": "0"}), valid=0, pooling="mean")).named_rows) == 0
    one = make(few.groupby("label").head(1), valid=0, pooling="mean", labels=["bad", "good"])
    assert len(one.fit_few(FewShot(layers=1, steps=2))) == 2  # with its name a single row has a pair


def test_many_uneven_classes(make, reviews):
    counts = {f"class {i}": 1 + i % 3 for i in range(150)}
    df = pd.DataFrame([(f"a film of {name} no {i}", name) for name, n in counts.items() for i in range(n)])
    learn = make(df.set_axis(["text", "label"], axis=1), valid=0, pooling="mean")
    learn.fit_few(FewShot(layers=1, steps=5))
    assert learn.predict_proba(["a film"]).shape == (1, 150)
