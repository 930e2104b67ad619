"""Attribution by every method, for a model that depends on a single word; attention maps."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from kickbert import explain
from kickbert.data.transforms import TextTokenizer
from kickbert.evaluation.attribution import plot_attention, token_maps
from kickbert.text.tokenization import SEP

TEXT = "a bright film wonderful no 3"


@pytest.fixture
def one_word(make, reviews):
    """A model with a head that reads only the amount of the token «wonderful»."""
    pytest.importorskip("captum")
    learn = make(reviews, pooling="mean")
    model, tokens = learn.model, learn.dls.tokenizer
    with torch.no_grad():
        for layer in model.encoder.layers:  # attention and feed-forward add nothing: states are the embeddings
            for p in (*layer.attention.output.dense.parameters(), *layer.output.dense.parameters()):
                p.zero_()
        table = model.encoder.body.embeddings.word_embeddings.weight
        direction = torch.zeros(table.shape[1])
        direction[::2], direction[1::2] = 1, -1  # of mean zero, so LayerNorm keeps it
        table.zero_()
        model.encoder.body.embeddings.position_embeddings.weight.zero_()
        table.add_(0.1 * torch.randn(table.shape, generator=torch.Generator().manual_seed(0)))
        table -= table @ direction[:, None] / len(direction) * direction
        others = {i for w in (" a", " bright", " film", " no", " 3") for i in tokens.hf(w)["input_ids"]}
        for i in set(tokens.hf(" wonderful")["input_ids"]) - others:
            table[i] = 3 * direction
        model.head.classifier.weight.zero_()
        model.head.classifier.weight[1] = direction
    return learn


@pytest.mark.parametrize("method", ["gradients", "occlusion"])
def test_the_one_word_is_found(one_word, method):
    explanation = explain(one_word, TEXT, "good", method)
    assert explanation.words == TEXT.split() and explanation.label == "good"
    scores = dict(zip(explanation.words, explanation.scores, strict=True))
    others = [abs(v) for w, v in scores.items() if w != "wonderful"]
    assert scores["wonderful"] > 5 * max(others)
    against = explain(one_word, TEXT, "bad", method).to_frame().set_index("word")["score"]
    assert against["wonderful"] <= 0 and against.drop("wonderful").abs().max() < scores["wonderful"]
    if method == "gradients":
        assert explanation.gap < 0.05
        coarse = explain(one_word, TEXT, "good", method, steps=2)
        assert coarse.gap > explanation.gap


def test_rollout_gives_shares_of_attention(make, reviews):
    learn = make(reviews)
    explanation = explain(learn, TEXT, method="rollout")
    assert (explanation.scores >= 0).all() and 0 < explanation.scores.sum() <= 1 + 1e-6
    maps, tokens = token_maps(learn, TEXT)
    assert maps.shape[0] == 2 and maps.shape[2] == len(tokens) and np.allclose(maps.sum(-1), 1, atol=1e-5)


def test_the_model_is_left_as_it_was(make, reviews):
    pytest.importorskip("captum")
    learn = make(reviews, precision="bf16")
    learn.freeze()
    learn.model.train()
    before = {n: (p.requires_grad, p.clone()) for n, p in learn.model.named_parameters()}
    for method in ("gradients", "occlusion", "rollout"):
        explain(learn, TEXT, method=method)
    for name, p in learn.model.named_parameters():
        assert p.requires_grad == before[name][0] and torch.equal(p, before[name][1]) and p.grad is None
    assert learn.model.precision == "bf16" and learn.model.training
    assert learn.model.encoder.body.config._attn_implementation == "kickbert"


def test_words_know_their_tokens(tiny_tok):
    tokens = TextTokenizer(tiny_tok, 20)
    text = SEP.join(["a bright, warm film", "I loved this story"])
    words, place = tokens.token_encoder.words(text)
    assert words == ["a", "bright,", "warm", "film", "I", "loved", "this", "story"]
    (row,), _ = tokens.encode_batch([text])
    assert len(row) == len(place) and (place[[0, -1]] == -1).all()
    spelled = dict.fromkeys(range(len(words)), "")
    for i, w in zip(row, place, strict=True):
        if w >= 0:
            spelled[w] += tiny_tok.decode([i])
    assert [spelled[i].strip() for i in range(len(words))] == words
    _, cut = TextTokenizer(tiny_tok, 8).token_encoder.words("a wonderful and moving story " * 9)
    assert len(cut) == 8


def test_bad_questions(make, reviews):
    learn = make(reviews)
    with pytest.raises(ValueError, match="method='shap' is not one of"):
        explain(learn, TEXT, method="shap")
    with pytest.raises(ValueError, match="label='ugly' is not a class"):
        explain(learn, TEXT, "ugly", "occlusion")
    with pytest.raises(ValueError, match="has no words"):
        explain(learn, "  ", method="occlusion")


def test_numbers_and_several_labels(make, reviews):
    rng = np.random.default_rng(0)
    number = make(reviews.assign(label=rng.normal(5, 1, len(reviews))), task="regression")
    assert 0 < explain(number, TEXT, method="occlusion").value < 10
    several = make(reviews.assign(label=[["x", label] for label in reviews["label"]]))
    assert explain(several, TEXT, "x", "occlusion").label == "x"


def test_an_attention_map(make, reviews):
    learn = make(reviews)
    ax = plot_attention(learn, "a $5$ film", layer=0, head=1).axes[0]
    assert ax.get_title(loc="left") == "Attention of layer 1, head 2"
    assert ax.get_xticklabels()[0].get_text() == "<s>" and ax.get_xlabel() == "key (attended token)"
    assert any(r"\$" in label.get_text() for label in ax.get_yticklabels())  # drawn literally, not as mathtext
    mean = plot_attention(learn, "a film").axes[0]
    assert mean.get_title(loc="left") == "Attention of layer 2"
    with pytest.raises(ValueError, match="layer=5, head=None is out of range: the encoder has 2 layers with 4 heads"):
        plot_attention(learn, "a film", layer=5)
    plt.close("all")
