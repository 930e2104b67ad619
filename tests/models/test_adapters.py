"""Adapters beside an encoder's weights: merged they compute the same, untouched they change no bit, peft reads them."""

import sys

import pytest
import torch
from helpers.encoders import ARCHITECTURES, padded_batch, random_encoder

pytest.importorskip("peft", reason="the extra kickbert[lora] is not installed")
import peft

from kickbert.models.adapters import add_adapter, base_fingerprint, lora_config, merged
from kickbert.models.attention import FIRST_TOKEN
from kickbert.models.encoder import Encoder


def adapted(kind: str, learnt: bool = True, adapter="lora", **extra) -> Encoder:
    """A random encoder with an adapter that has learnt something."""
    encoder = random_encoder(kind, **extra)
    add_adapter(encoder, adapter, "base")
    for name, p in encoder.body.named_parameters():
        if learnt and "lora_B" in name:
            torch.nn.init.normal_(p, std=0.05)
    return encoder


@pytest.mark.parametrize(("kind", "extra"), ARCHITECTURES)
def test_an_adapter_computes_the_same_at_every_depth_and_merged(kind, extra):
    """Some architectures use a layer's weight without calling it, which would pass the adapter by."""
    plain, encoder, (ids, mask) = random_encoder(kind, **extra), adapted(kind, **extra), padded_batch()
    with torch.no_grad():
        whole = encoder(ids, mask)
        assert (whole - plain(ids, mask))[mask].abs().max() > 1e-3
        for depth in range(encoder.n_layers + 1):
            split = encoder.suffix(encoder.prefix(ids, mask, depth), mask, depth)
            torch.testing.assert_close(split[mask], whole[mask], rtol=1e-6, atol=1e-6)
        alone = encoder(ids, mask, first=True)[:, 0]
        torch.testing.assert_close(alone, whole[:, 0], rtol=1e-5, atol=1e-6)
        body = merged(encoder.body)
        assert [name for name, _ in body.named_parameters()] == [name for name, _ in plain.body.named_parameters()]
        torch.testing.assert_close(Encoder(body).eval()(ids, mask)[mask], whole[mask], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(encoder(ids, mask), whole)  # merged was a copy
    assert kind not in FIRST_TOKEN or encoder(ids, mask, first=True).shape[1] == 1


def test_layers_beside_which_nothing_was_learnt_are_the_same_to_the_last_bit():
    plain, encoder = random_encoder("bert"), adapted("bert", learnt=False)
    with torch.no_grad():
        plain.layers[0].output.dense.weight[0, 0] = encoder.layers[0].output.dense.base_layer.weight[0, 0] = -0.0
        encoder.layers[3].output.dense.lora_B["default"].weight.fill_(0.1)
    assert base_fingerprint(encoder.body) == base_fingerprint(plain.body)
    ours, theirs = merged(encoder.body).state_dict(), plain.body.state_dict()
    bits = {name: ours[name].numpy().tobytes() == theirs[name].numpy().tobytes() for name in theirs}
    assert [name for name, same in bits.items() if not same] == ["encoder.layer.3.output.dense.weight"]


def test_groups_are_of_the_adapter_and_a_student_of_the_first_layers_is_plain():
    encoder = adapted("roberta")
    groups = encoder.groups()
    assert [len(group) for group in groups.values()] == [0, 12, 12, 12, 12]
    own = {name: p for name, p in encoder.body.named_parameters() if p.requires_grad}
    assert {id(p) for group in groups.values() for p in group} == set(map(id, own.values()))
    assert all("lora_" in name for name in own)
    student, (ids, mask) = encoder.first_layers(2).eval(), padded_batch()
    assert all(p.requires_grad for p in student.parameters()) and len(student.groups()["embeddings"])
    with torch.no_grad():
        torch.testing.assert_close(student(ids, mask)[mask], encoder.prefix(ids, mask, 2)[mask], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{"target_modules": ["query"], "r": 2}, {"use_dora": True}, {"use_rslora": True, "lora_dropout": 0.5}]
)
def test_options_of_peft(options):
    encoder, (ids, mask) = adapted("bert", adapter=peft.LoraConfig(**options)).eval(), padded_batch()
    assert len(encoder.groups()["layer 1"]) == {"target_modules": 2, "use_dora": 18}.get(next(iter(options)), 12)
    with torch.no_grad():
        torch.testing.assert_close(
            Encoder(merged(encoder.body)).eval()(ids, mask)[mask], encoder(ids, mask)[mask], rtol=1e-5, atol=1e-5
        )


def test_what_is_no_adapter_alone_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"adapter='dora' is neither 'lora' nor a peft.LoraConfig"):
        lora_config("dora")
    for option in ({"bias": "all"}, {"modules_to_save": ["pooler"]}, {"init_lora_weights": "pissa"}):
        with pytest.raises(ValueError, match=f"{next(iter(option))}=.* changes weights of the encoder itself"):
            lora_config(peft.LoraConfig(**option))
    with pytest.raises(
        ValueError, match=r"target_modules=.*'quarry'.*; there are \['dense', 'key', 'query', 'value'\]"
    ):
        adapted("bert", adapter=peft.LoraConfig(target_modules=["quarry"]))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "peft" else sys.modules[name])
    with pytest.raises(ImportError, match=r'pip install "kickbert\[lora\]"'):
        lora_config("lora")
