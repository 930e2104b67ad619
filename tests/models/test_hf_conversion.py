"""A classifier converted to transformers' own model and back gives the same numbers."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.encoders import own_tokenizer
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertTokenizer,
)

import kickbert
from kickbert.models.artifact.reading import read_artifact
from kickbert.models.encoder import LAYERS
from kickbert.models.hf_conversion import HEADS, OTHERS

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
WIDE = {"initializer_range": 0.2}  # so that what goes in makes a difference
OWN = {
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "electra": SMALL | {"embedding_size": 32},
    "albert": SMALL | {"embedding_size": 32},
    "deberta-v2": SMALL | {"type_vocab_size": 2},
}


TYPED = ("bert", "electra", "deberta-v2")  # their transformers tokenizers return token types


def save_encoder(kind: str, folder, tokenizer) -> None:
    """An encoder with random weights and a tokenizer, as `save_pretrained` leaves them."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **OWN.get(kind, SMALL), **WIDE
    )
    body = AutoModel.from_config(config)
    for name, parameter in body.named_parameters():
        if "token_type" in name:
            torch.nn.init.normal_(parameter)  # as far apart as pretraining makes them
    body.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def test_each_architecture_has_a_head_or_a_reason():
    assert set(HEADS) | set(OTHERS) == set(LAYERS) and not set(HEADS) & set(OTHERS)


CASES = [(kind, ["text", "more"]) for kind in HEADS] + [("bert", ["text"]), ("roberta", ["text"])]


@pytest.mark.parametrize(("kind", "columns"), CASES)
def test_plain_transformers_with_its_own_tokenizer_gives_the_same(kind, columns, pairs, tmp_path):
    save_encoder(kind, tmp_path / "m", own_tokenizer(kind))
    how = {"text_col": columns, "model": tmp_path / "m", "precision": "fp32", "path": tmp_path, "pooling": "cls"}
    learn = kickbert.learner_from_df(pairs, **how)
    learn.fit_one_cycle(1, 4e-3)
    learn.loss_func.temperature = 1.7
    folder = learn.save_artifact(tmp_path / "k")
    assert read_artifact(folder).metadata["plain transformers"]
    plain, hf = AutoModelForSequenceClassification.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    assert plain.config.id2label == {0: "bad", 1: "good"}
    rows = pairs.head(10)
    with torch.no_grad():
        batch = hf(*(rows[column].tolist() for column in columns), padding=True, return_tensors="pt")
        theirs = plain(**batch).logits.softmax(-1).numpy()
        untyped = plain(batch["input_ids"], attention_mask=batch["attention_mask"]).logits.softmax(-1).numpy()
    typed = len(columns) == 2 and learn.model.encoder.pair_separator is not None
    assert typed == (np.abs(theirs - untyped).max() > 1e-3) == (len(columns) == 2 and kind in TYPED)
    np.testing.assert_allclose(theirs, kickbert.load(folder, backend="torch").predict_proba(rows), atol=1e-5)
    np.testing.assert_allclose(theirs, learn.predict_proba(rows), atol=1e-5)


@pytest.mark.system
def test_token_types_go_through_the_cache_and_onnx(pairs, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
    save_encoder("bert", tmp_path / "m", own_tokenizer("bert"))
    losses = []
    for cache in (False, kickbert.Cache()):
        how = {"model": tmp_path / "m", "precision": "fp32", "path": tmp_path, "dropout": 0.0, "cache": cache}
        learn = kickbert.learner_from_df(pairs, text_col=["text", "more"], **how)
        learn.fit_gradual([kickbert.Phase("head", 3, 1, 2e-3), kickbert.Phase("last layer", 2, 1, 4e-4)])
        losses.append(learn.recorder.losses)
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)
    folder = learn.save_artifact(tmp_path / "k")
    assert kickbert.export(folder, pairs, ["onnx"])["max_difference"][1] < 1e-4
    exported = kickbert.load(folder, backend="onnx").predict_proba(pairs)
    np.testing.assert_allclose(exported, learn.predict_proba(pairs), atol=1e-4)
    again = kickbert.learner_from_artifact(folder, pairs, precision="fp32", path=tmp_path)
    np.testing.assert_allclose(again.predict_proba(pairs), learn.predict_proba(pairs), atol=1e-5)
    without = again.model.encoder
    without.pair_separator = None
    assert np.abs(again.predict_proba(pairs) - learn.predict_proba(pairs)).max() > 1e-3


@pytest.mark.parametrize(
    ("how", "reason"),
    [({"pooling": "mean"}, "does not pool by 'mean'"), ({"label_col": "amount", "bins": 3}, "no ordered classes")],
)
def test_the_card_says_why_plain_transformers_cannot_load_the_head(make, reviews, tmp_path, how, reason):
    rows = reviews.assign(amount=range(len(reviews)))
    learn = make(rows, **how)
    before = learn.model.encoder.body.config.to_dict()
    artifact = read_artifact(learn.save_artifact(tmp_path / "k"))
    assert not artifact.metadata["plain transformers"] and reason in artifact.card
    assert AutoConfig.from_pretrained(artifact.folder).id2label == dict(enumerate(learn.target.names))
    assert learn.model.encoder.body.config.id2label == before["id2label"]  # the run's key holds it


def test_a_vocabulary_of_a_few_tokens(make, tmp_path):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdef"]
    tokenizer = BertTokenizer(vocab={token: i for i, token in enumerate(vocabulary)})
    save_encoder("bert", tmp_path / "m", tokenizer)
    genes = pd.DataFrame({"text": ["a b a", "c d e", "b a b", "f e d"] * 8, "label": ["left", "right"] * 16})
    learn = make(genes, model=tmp_path / "m")
    artifact = read_artifact(learn.save_artifact(tmp_path / "k"))
    assert len(vocabulary) < 34 and artifact.metadata["plain transformers"]


def save_classifier(kind: str, folder, names: list[str], **more) -> None:
    """A fine-tuned checkpoint: random weights, its classes in this order."""
    tokenizer = own_tokenizer(kind)
    torch.manual_seed(0)
    size = OWN.get(kind, SMALL) | WIDE | more
    config = AutoConfig.for_model(
        kind, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, id2label=dict(enumerate(names)), **size
    )
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize("kind", HEADS)
def test_the_head_of_a_checkpoint_is_kept_and_its_classes_matched_by_name(kind, pairs, tmp_path):
    save_classifier(kind, tmp_path / "m", ["GOOD", "BAD"])  # another order than the target's
    how = {"text_col": ["text", "more"], "model": tmp_path / "m", "precision": "fp32", "path": tmp_path}
    learn = kickbert.learner_from_df(pairs, head="checkpoint", **how)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "m").eval()
    hf, rows = AutoTokenizer.from_pretrained(tmp_path / "m"), pairs.head(10)
    with torch.no_grad():
        batch = hf(rows["text"].tolist(), rows["more"].tolist(), padding=True, return_tensors="pt")
        expected = theirs(**batch).logits.softmax(-1).numpy()[:, ::-1]
    np.testing.assert_allclose(learn.predict_proba(rows), expected, atol=1e-5)
    folder = learn.save_artifact(tmp_path / "k")
    np.testing.assert_allclose(kickbert.load(folder, backend="torch").predict_proba(rows), expected, atol=1e-5)
    assert read_artifact(folder).metadata["plain transformers"]


def test_a_head_that_is_not_used_is_named(make, reviews, tmp_path, capsys):
    save_classifier("roberta", tmp_path / "m", ["no", "yes", "maybe"])
    make(reviews, model=tmp_path / "m")
    line = "is not used (RobertaForSequenceClassification: 3 classes (no, yes, maybe)); head='checkpoint' keeps it"
    assert line in capsys.readouterr().out
    save_encoder("roberta", tmp_path / "plain", own_tokenizer("roberta"))
    learn = make(reviews, model=tmp_path / "plain")
    assert "not used" not in capsys.readouterr().out
    make(reviews, model=learn.save_artifact(tmp_path / "k"))
    assert "kickbert.learner_from_artifact continues with it" in capsys.readouterr().out


def test_unnamed_classes_are_matched_if_their_order_is_known(make, reviews, tmp_path):
    save_classifier("bert", tmp_path / "m", ["LABEL_0", "LABEL_1"])
    numbers = reviews.assign(label=(reviews["label"] == "good").astype(int))
    learn = make(numbers, model=tmp_path / "m", head="checkpoint")
    named = make(reviews, model=tmp_path / "m", head="checkpoint", labels=["bad", "good"])
    assert torch.equal(learn.model.head.classifier.weight, named.model.head.classifier.weight)
    with pytest.raises(ValueError, match=r"the classes \['LABEL_0', 'LABEL_1'\], and the target has \['bad', 'good'\]"):
        make(reviews, model=tmp_path / "m", head="checkpoint")


@pytest.mark.parametrize(
    ("kind", "more", "how", "message"),
    [
        ("bert", {}, {"head": "kept"}, "head='kept' is not 'checkpoint'"),
        ("bert", {}, {"pooling": "mean"}, "leave out pooling and head_layers"),
        ("bert", {}, {"head_layers": 2}, "leave out pooling and head_layers"),
        ("bert", {}, {"label_col": "amount", "bins": 2}, "and the target is ordinal"),
        ("bert", {"problem_type": "multi_label_classification"}, {}, "was trained for multi_label_classification"),
        ("bert", {}, {"labels": ["bad", "good", "ugly"]}, r"has the classes \['good', 'bad'\]"),
        ("deberta-v2", {"pooler_hidden_act": "silu"}, {}, "that gives the same numbers here"),
    ],
)
@pytest.mark.filterwarnings("ignore:no training row")
def test_heads_that_cannot_be_kept(make, reviews, tmp_path, kind, more, how, message):
    save_classifier(kind, tmp_path / "m", ["good", "bad"], **more)
    with pytest.raises(ValueError, match=message):
        make(reviews.assign(amount=range(120)), model=tmp_path / "m", **{"head": "checkpoint", **how})


def test_models_without_a_head(make, reviews, tiny, tmp_path):
    with pytest.raises(ValueError, match=r"no head to keep .*: it is not a fine-tuned classifier"):
        make(reviews, head="checkpoint")
    folder = make(reviews).save_artifact(tmp_path / "k")
    with pytest.raises(ValueError, match=r"is an artifact; kickbert\.learner_from_artifact continues with its head"):
        make(reviews, model=folder, head="checkpoint")
