"""Any prefix and suffix of an encoder, for every architecture."""

import re
import warnings

import pytest
import torch
from helpers.encoders import ARCHITECTURES, own_tokenizer, padded_batch, random_encoder
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel

from kickbert.data.transforms import TextTokenizer
from kickbert.models.encoder import LAYERS, Encoder, load_encoder


@pytest.mark.parametrize(("kind", "extra"), ARCHITECTURES)
def test_suffix_of_prefix_is_the_full_forward_at_every_depth(kind, extra):
    encoder = random_encoder(kind, **extra)
    ids, mask = padded_batch()
    names = list(encoder.state_dict())
    with torch.no_grad():
        full = encoder(ids, mask)
        for depth in range(encoder.n_layers + 1):
            split = encoder.suffix(encoder.prefix(ids, mask, depth), mask, depth)
            assert torch.equal(split[mask], full[mask]), f"depth {depth}"
            for stop in range(depth, encoder.n_layers):
                part = encoder.between(encoder.prefix(ids, mask, depth), mask, depth, stop)
                assert torch.equal(part[mask], encoder.prefix(ids, mask, stop)[mask]), f"depth {depth} to {stop}"
    assert list(encoder.state_dict()) == names


@pytest.mark.parametrize(("kind", "extra"), ARCHITECTURES)
def test_depths_do_differ_and_padding_does_not_matter(kind, extra):
    """Guards the test above: a prefix that ignored its depth, or a mask that was ignored, would pass it."""
    encoder = random_encoder(kind, **extra)
    ids, mask = padded_batch()
    with torch.no_grad():
        shallow, deep = encoder.prefix(ids, mask, 0), encoder.prefix(ids, mask, encoder.n_layers)
        same_shape = shallow.shape == deep.shape  # ALBERT's embeddings are narrower than its states
        assert not same_shape or not torch.allclose(shallow[mask], deep[mask], atol=1e-3)
        alone = encoder(ids[1:2, :7], mask[1:2, :7])
        assert torch.allclose(encoder(ids, mask)[1, :7], alone[0], atol=1e-5)
        assert torch.equal(encoder(ids.masked_fill(~mask, 99), mask)[mask], encoder(ids, mask)[mask])


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_reach_the_suffix_and_only_it(kind):
    encoder = random_encoder(kind)
    ids, mask = padded_batch()
    depth = encoder.n_layers - 1
    with torch.no_grad():
        hidden = encoder.prefix(ids, mask, depth)
    encoder.suffix(hidden, mask, depth)[mask].square().sum().backward()
    groups = encoder.groups()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in groups[f"layer {encoder.n_layers}"])
    assert all(p.grad is None for i in range(depth) for p in groups[f"layer {i + 1}"])


@pytest.mark.parametrize("kind", LAYERS)
def test_each_parameter_and_module_is_in_one_group(kind):
    encoder = random_encoder(kind)
    groups, modules = encoder.groups(), encoder.modules_by_group()
    assert list(groups) == ["embeddings", *(f"layer {i + 1}" for i in range(encoder.n_layers))] and all(groups.values())
    assert sorted(id(p) for group in groups.values() for p in group) == sorted(id(p) for p in encoder.parameters())
    assert sorted(id(m) for group in modules for m in group) == sorted(map(id, encoder.modules()))
    for parameters, group in zip(groups.values(), modules, strict=True):
        assert {id(p) for p in parameters} == {id(p) for module in group for p in module.parameters(recurse=False)}


def test_bigbird_uses_full_attention():
    ids, mask = padded_batch()
    sparse = random_encoder("big_bird", attention_type="block_sparse", block_size=2, num_random_blocks=1)
    assert sparse.body.config.attention_type == "original_full"
    with torch.no_grad():
        assert torch.equal(sparse(ids, mask), random_encoder("big_bird")(ids, mask))


def test_albert_is_a_single_body_group():
    assert list(random_encoder("albert").groups()) == ["embeddings", "layer 1"]


def test_roberta_base_gives_13_groups_and_512_tokens():
    with torch.device("meta"):
        encoder = Encoder(
            AutoModel.from_config(AutoConfig.for_model("roberta", max_position_embeddings=514, pad_token_id=1))
        )
    assert len(encoder.groups()) == 13  # the head is the fourteenth
    assert encoder.max_length == 512


def test_newly_initialised_poolers_are_dropped():
    assert not any("pooler" in name for name in random_encoder("bert").state_dict())


def test_unknown_architecture_names_those_that_work():
    body = AutoModel.from_config(AutoConfig.for_model("gpt2", n_layer=1, n_embd=8, n_head=2, vocab_size=10))
    with pytest.raises(ValueError, match=r"'gpt2' is not supported. Supported: albert"):
        Encoder(body)


def test_depth_out_of_range():
    encoder = random_encoder("bert")
    ids, mask = padded_batch()
    with pytest.raises(ValueError, match="depth=5 must be between 0 and 4"):
        encoder.prefix(ids, mask, 5)
    with pytest.raises(ValueError, match="depth=-1 must be"):
        encoder.suffix(torch.zeros(3, 11, 32), mask, -1)


def test_a_failing_layer_leaves_the_model_as_it_was():
    encoder = random_encoder("roberta")
    ids, mask = padded_batch()
    names = list(encoder.state_dict())
    with pytest.raises(RuntimeError):
        encoder.suffix(torch.zeros(3, 11, 7), mask, 2)  # states of the wrong width
    assert list(encoder.state_dict()) == names
    assert encoder(ids, mask).shape == (3, 11, 32)


def test_loading_a_folder_says_nothing(tiny, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_encoder(tiny).n_layers == 2
    out = capfd.readouterr()
    assert out.out + out.err == ""


@pytest.mark.parametrize(("kind", "extra"), [*ARCHITECTURES, ("deberta-v2", {"type_vocab_size": 2})])
def test_a_pair_is_read_as_by_the_tokenizers_own_call(kind, extra):
    encoder, hf = random_encoder(kind, **extra), own_tokenizer(kind)
    body, typed = encoder.body, []
    with torch.no_grad():
        for name, parameter in body.named_parameters():
            if "token_type" in name:
                typed.append(parameter.normal_())  # as far apart as pretraining makes them
    hf.model_max_length = 60
    encoder.pair_separator = TextTokenizer(hf).pair_separator
    body.config.pad_token_id = hf.pad_token_id
    pairs = ["a bc", "a", "abc de f"], ["de", "fgh i j k", "g"]
    batch = hf(*pairs, padding=True, return_tensors="pt")
    ids, mask = batch["input_ids"], batch["attention_mask"].bool()
    with torch.no_grad():
        theirs, ours = body(**batch)[0], encoder(ids, mask)
        assert torch.equal(ours[mask], theirs[mask])
        for depth in range(encoder.n_layers + 1):
            split = encoder.suffix(encoder.prefix(ids, mask, depth), mask, depth)
            assert torch.equal(split[mask], ours[mask]), f"depth {depth}"
        differ = not torch.equal(body(ids, mask.long())[0][mask], theirs[mask])
    assert differ == (encoder.pair_separator is not None) == (bool(typed) and "token_type_ids" in batch and any(
        batch["token_type_ids"].flatten().tolist()
    ))  # fmt: skip


def test_token_types_are_those_of_two_segments():
    encoder = random_encoder("bert")
    assert encoder.token_types(torch.tensor([[1, 5, 2, 6, 2]])) == {}
    encoder.pair_separator = 2
    types = encoder.token_types(torch.tensor([[1, 5, 2, 6, 2], [1, 2, 2, 2, 0], [1, 5, 5, 2, 0]]))["token_type_ids"]
    assert types.tolist() == [[0, 0, 0, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1]]  # what follows a row is masked
    encoder = random_encoder("distilbert")
    encoder.pair_separator = 2
    assert encoder.pair_separator is None  # it has no types


@pytest.mark.parametrize("kind", LAYERS)
def test_missing_weights_are_refused(kind, tmp_path):
    body = random_encoder(kind).body  # without its pooler, which nothing needs
    body.save_pretrained(tmp_path)
    assert load_encoder(tmp_path).n_layers == random_encoder(kind).n_layers
    tensors = load_file(tmp_path / "model.safetensors")
    name = next(name for name in tensors if "embeddings" not in name)
    save_file({k: v for k, v in tensors.items() if k != name}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=rf"has no weights for \['{re.escape(name)}'\], which a {kind} needs"):
        load_encoder(tmp_path)


@pytest.mark.parametrize(("kind", "extra"), ARCHITECTURES)
def test_the_first_layers_are_an_encoder_that_can_be_saved(kind, extra, tmp_path):
    encoder, (ids, mask) = random_encoder(kind, **extra), padded_batch()
    count = min(2, encoder.n_layers)
    for p in encoder.parameters():
        p.requires_grad_(False)
    first = encoder.first_layers(count).eval()
    assert first.n_layers == count and all(p.requires_grad for p in first.parameters())
    for depth in range(count + (count == encoder.n_layers)):  # a last norm may follow the last layer
        expected = encoder.prefix(ids, mask, depth)
        torch.testing.assert_close(first.prefix(ids, mask, depth)[mask], expected[mask])
    first.body.save_pretrained(tmp_path)
    again = load_encoder(tmp_path).eval()
    assert again.n_layers == count
    torch.testing.assert_close(again(ids, mask)[mask], first(ids, mask)[mask])
    assert not set(map(id, first.parameters())) & set(map(id, encoder.parameters()))
    for bad in (0, encoder.n_layers + 1):
        with pytest.raises(ValueError, match=f"layers={bad} must be between 1 and {encoder.n_layers}"):
            encoder.first_layers(bad)
