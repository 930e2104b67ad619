"""Variants by neural models, with small local models with random weights."""

import numpy as np
import pytest
import torch

from kickbert.text import BackTranslation, Contextual

TEXTS = ["a bright, warm film", "", "I hated this story!", "boring and flat"]


@pytest.fixture(scope="module")
def marian(tmp_path_factory) -> str:
    """Folder of a one-layer Marian model with its own SentencePiece vocabulary."""
    spm = pytest.importorskip("sentencepiece")
    import json

    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder = tmp_path_factory.mktemp("marian")
    sentences = [f"{t} {i}" for t in (*TEXTS, "wonderful and moving", "a real delight") for i in range(40)]
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_prefix=str(folder / "m"), vocab_size=45, minloglevel=2
    )
    vocabulary = spm.SentencePieceProcessor(model_file=str(folder / "m.model"))
    words = [vocabulary.id_to_piece(i) for i in range(vocabulary.get_piece_size())]
    vocab = {w: i for i, w in enumerate(["</s>", "<unk>", *[w for w in words if w[0] != "<"], "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    model = folder / "m.model"
    tokenizer = MarianTokenizer(str(model), str(model), str(folder / "vocab.json"), source_lang="en", target_lang="de")
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(vocab), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=64,
        pad_token_id=vocab["<pad>"], eos_token_id=0, decoder_start_token_id=vocab["<pad>"], forced_eos_token_id=0,
    )  # fmt: skip
    out = folder / "model"
    MarianMTModel(config).save_pretrained(out)
    tokenizer.save_pretrained(out)
    return str(out)


@pytest.fixture(scope="module")
def masked(tmp_path_factory, tiny_tok) -> str:
    """Folder of a one-layer masked language model."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    folder = tmp_path_factory.mktemp("masked")
    config = RobertaConfig(
        vocab_size=len(tiny_tok), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=66, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    RobertaForMaskedLM(config).save_pretrained(folder)
    tiny_tok.save_pretrained(folder)
    return str(folder)


def test_back_translation_in_batches(marian):
    translate = BackTranslation(marian, marian, temperature=1.0, bs=2, max_length=12)
    variants = translate(TEXTS, 2, np.random.default_rng(0))
    assert [len(v) for v in variants] == [2] * 4 and variants[1] == ["", ""]
    assert all(isinstance(v, str) for row in variants for v in row)
    assert translate(TEXTS, 2, np.random.default_rng(0)) == variants  # deterministic for a seed
    assert translate(TEXTS, 2, np.random.default_rng(1)) != variants


def test_words_in_context(masked):
    replace = Contextual(masked, rate=0.5, top=50)
    variants = replace(TEXTS, 3, np.random.default_rng(0))
    assert [len(v) for v in variants] == [3] * 4 and variants[1] == [""] * 3
    assert all(v.endswith("!") for v in variants[2]) and len(set(variants[0])) > 1
    assert replace(TEXTS, 3, np.random.default_rng(0)) == variants


def test_a_text_above_the_models_limit(masked):
    (variants,) = Contextual(masked)(["bright film " * 100], 1, np.random.default_rng(0))
    assert len(variants[0].split()) == 200


def test_they_are_augmenters(make, reviews, masked):
    learn = make(reviews, augment=Contextual(masked, rate=1.0, top=50, variants=1))
    assert len(learn.dls.train_ds) > len(make(reviews).dls.train_ds)


def test_unavailable_models_and_invalid_rates():
    with pytest.raises(ValueError, match="no/such-model"):
        Contextual("no/such-model")
    with pytest.raises(ValueError, match="rate=0"):
        Contextual("no/such-model", rate=0)
