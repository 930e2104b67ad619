"""The tiled attention kernel gives the same numbers as torch's."""

import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from helpers.encoders import padded_batch, random_encoder
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoConfig, AutoModel

from kickbert.models import attention
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import LAYERS, Encoder
from kickbert.models.head import Head

OWN_ATTENTION = {
    "big_bird",
    "deberta",
    "deberta-v2",
    "longformer",
    "mpnet",
}  # transformers has one kernel for these


def states(dtype=torch.float32, tokens=7) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(3, 2, tokens, 4).to(dtype).requires_grad_() for _ in range(3)]


def gradients(out, inputs) -> list[torch.Tensor]:
    torch.manual_seed(1)
    return torch.autograd.grad(out, inputs, torch.randn(out.shape).to(out.dtype))


def padding(tokens=7) -> torch.Tensor:
    return (torch.arange(tokens) < torch.tensor([7, 3, 1])[:, None])[:, None, None, :].expand(-1, -1, tokens, -1)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_output_and_gradients_equal_torchs(masked, dtype, atol):
    inputs, mask = states(dtype), padding() if masked else None
    flat = [t.reshape(6, 7, 4) for t in inputs]
    bias = torch.where(mask, 0.0, torch.finfo(torch.float32).min) if masked else None
    own = attention._Attention.apply(*flat, bias, None, 0.5, 1.0).view(3, 2, 7, 4)
    theirs = scaled_dot_product_attention(*[t.float() for t in inputs], attn_mask=mask, scale=0.5)
    assert torch.allclose(own.float(), theirs, atol=atol)
    for mine, reference in zip(gradients(own, inputs), gradients(theirs, inputs), strict=True):
        assert torch.allclose(mine.float(), reference.float(), atol=2 * atol)


def test_dropped_probabilities_get_no_gradient():
    inputs = states()
    flat = [t.reshape(6, 7, 4) for t in inputs]
    keep = torch.rand(6, 7, 7, generator=torch.Generator().manual_seed(2)) < 0.6
    own = attention._Attention.apply(*flat, None, keep, 0.5, 0.6)
    probs = (flat[0] @ flat[1].transpose(1, 2) * 0.5).softmax(-1)
    reference = (probs * keep / 0.6) @ flat[2]
    assert torch.allclose(own, reference, atol=1e-6)
    for mine, theirs in zip(gradients(own, inputs), gradients(reference, inputs), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def runs_own(monkeypatch) -> list:
    called, real = [], attention._Attention.apply
    monkeypatch.setattr(attention._Attention, "apply", lambda *args: called.append(1) or real(*args))
    return called


@pytest.mark.parametrize("kind", sorted(set(LAYERS) - OWN_ATTENTION))
def test_architectures_train_through_it_in_bf16(kind, monkeypatch):
    called = runs_own(monkeypatch)
    ids, mask = padded_batch()
    x = ids.masked_fill(~mask, -1)
    logits, slopes = [], []
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        model = TextClassifier(random_encoder(kind), Head(32, 3, "mean", dropout=0.0), precision).train()
        logits.append(model(x))
        logits[-1].square().sum().backward()
        slopes.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert len(called) == 4  # once per layer, only in bf16
    assert torch.allclose(*logits, atol=0.05)
    assert torch.nn.functional.cosine_similarity(*slopes, dim=0) > 0.99


# One head per tile, two, the heads of two rows, of more than two.
@pytest.mark.parametrize(("cached", "masked"), [(1, True), (49, False), (100, True), (220, True), (220, False)])
def test_in_tiles_it_is_the_same(masked, cached, monkeypatch):
    inputs = states()
    flat, mask = [t.reshape(6, 7, 4) for t in inputs], padding()
    bias = torch.where(mask, 0.0, torch.finfo(torch.float32).min) if masked else None
    keep = torch.rand(6, 7, 7, generator=torch.Generator().manual_seed(2)) < 0.6
    results = []
    for limit in (10**6, cached):
        monkeypatch.setattr(attention, "CACHED", limit)
        out = attention._Attention.apply(*flat, bias, keep, 0.5, 0.6)
        results.append([out, *gradients(out, inputs)])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*results, strict=True))


def test_tiles_hold_every_head_once(monkeypatch):
    bias = torch.arange(5.0)[:, None, None, None].expand(5, 1, 7, 7)
    for limit in (1, 49, 100, 150, 400, 10**6):
        monkeypatch.setattr(attention, "CACHED", limit)
        heads = []
        for part, own in attention._tiles(15, 49, bias):
            inside, rows = range(15)[part], own[:, 0, 0, 0].tolist()
            heads += zip(inside, [row for row in rows for _ in range(len(inside) // len(rows))], strict=True)
        assert heads == [(head, head // 3) for head in range(15)]
        assert [h for part, _ in attention._tiles(15, 49, None) for h in range(15)[part]] == list(range(15))


def test_a_row_that_attends_to_nothing_is_not_nan():
    q, k, v = states(torch.bfloat16)
    assert attention.tiled_attention(torch.nn.Module(), q, k, v, torch.zeros(3, 1, 7, 7).bool())[0].isfinite().all()


def test_eager_attention_is_kept(tiny):
    body = AutoModel.from_pretrained(tiny, attn_implementation="eager")
    encoder = Encoder(body)
    assert encoder.body.config._attn_implementation == "eager"
    assert len(encoder.body(torch.tensor([[5, 6]]), output_attentions=True).attentions) == 2


def test_a_saved_model_loads_anywhere(tiny, tmp_path):
    Encoder(AutoModel.from_pretrained(tiny)).body.save_pretrained(tmp_path)
    assert attention.NAME not in (tmp_path / "config.json").read_text()
    assert AutoModel.from_pretrained(tmp_path).config._attn_implementation == "sdpa"
    assert AutoConfig.from_pretrained(tmp_path).num_hidden_layers == 2


def test_attention_dropout_is_drawn_in_each_forward(tiny):
    body = AutoModel.from_pretrained(tiny, attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.0)
    model = TextClassifier(Encoder(body), Head(32, 2, dropout=0.0), "bf16").train()
    x = torch.randint(5, 90, (2, 9))
    drawn = [model(x) for _ in range(3)]
    assert not any(torch.equal(a, b) for a, b in pairwise(drawn))
    torch.manual_seed(3)
    first = model(x)
    torch.manual_seed(3)
    assert torch.equal(model(x), first)


FRESH = """
import sys, torch
model = torch.load(sys.argv[1], weights_only=False).eval()
out = model(torch.tensor([[0, 5, 6, 2]]))
torch.save(out if isinstance(out, torch.Tensor) else out[0], sys.argv[1] + ".out")
"""


@pytest.mark.system
def test_a_pickled_model_runs_in_another_process(tiny, tmp_path):
    body = AutoModel.from_pretrained(tiny).eval()
    model = TextClassifier(Encoder(body), Head(32, 2)).eval()
    assert body.config._attn_implementation == attention.NAME
    x = torch.tensor([[0, 5, 6, 2]])
    running = {}
    for name, part in {"model": model, "body": body}.items():
        torch.save(part, tmp_path / name)
        command = [sys.executable, "-c", FRESH, str(tmp_path / name)]
        running[name] = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for name, expected in {"model": model(x), "body": body(x)[0]}.items():
        errors = running[name].communicate(timeout=200)[1]
        assert running[name].returncode == 0, errors
        assert torch.equal(torch.load(tmp_path / f"{name}.out"), expected)
