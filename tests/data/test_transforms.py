"""A tokenizer as a fastai Transform: special tokens as the tokenizer adds them; invalid tokenizers raise errors."""

import pickle

import pytest
from conftest import SHARED, tiny_tokenizer
from helpers.encoders import own_tokenizer
from transformers import AutoConfig, AutoModel, AutoTokenizer

from kickbert.data.transforms import TextTokenizer, load_tokenizer
from kickbert.text.tokenization import SEP, join_columns


def test_one_text_has_the_special_tokens_of_the_tokenizer(tiny_tok):
    tokens = TextTokenizer(tiny_tok)("a dull film")
    assert tokens.tolist() == tiny_tok("a dull film")["input_ids"]


def test_two_columns_are_joined_like_a_pair_of_the_tokenizer(tiny_tok):
    tokens = TextTokenizer(tiny_tok)(join_columns(["great fun"], ["I loved it"])[0])
    assert tokens.tolist() == tiny_tok("great fun", "I loved it")["input_ids"]


@pytest.mark.parametrize("name", ["minilm", "roberta-base"])
def test_real_tokenizers_agree_with_their_own_pairs(name, minilm):
    if name == "roberta-base":
        name = SHARED / "tokenizers" / "roberta-base"
        if not name.exists():
            pytest.skip("the real roberta-base tokenizer is not available")
        hf = AutoTokenizer.from_pretrained(name)  # this folder has no model
    else:
        hf = load_tokenizer(name)
    tokenizer = TextTokenizer(hf)
    assert tokenizer("Héllo, wörld 😀!").tolist() == hf("Héllo, wörld 😀!")["input_ids"]
    assert tokenizer(f"Hello{SEP}two columns").tolist() == hf("Hello", "two columns")["input_ids"]


def test_max_length_outside_the_limits(tiny_tok):
    with pytest.raises(ValueError, match="max_length=65 is not between 3 and 64, the maximum of this model"):
        TextTokenizer(tiny_tok, max_length=65)
    with pytest.raises(ValueError, match="max_length=2 is not between"):
        TextTokenizer(tiny_tok, max_length=2)


def test_decoding_omits_the_special_tokens(tiny_tok):
    tokenizer = TextTokenizer(tiny_tok)
    assert tokenizer.decode(tokenizer(f"great fun{SEP}I loved it")) == "great fun | I loved it"


def test_pickling_omits_the_texts(tiny_tok):
    tokenizer = TextTokenizer(tiny_tok)
    tokenizer.setups(["a dull film"])
    assert tokenizer._known
    again = pickle.loads(pickle.dumps(tokenizer))
    assert not again._known
    assert again("a dull film").tolist() == tokenizer("a dull film").tolist()


def test_a_slow_tokenizer_raises_an_error(tmp_path):
    from transformers import CanineConfig, CanineTokenizer

    CanineTokenizer().save_pretrained(tmp_path)
    CanineConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"only a slow tokenizer \(CanineTokenizer\)"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2", "mpnet", "modernbert", "camembert", "albert"])
def test_a_folder_without_a_tokenizer_raises_an_error(kind, tmp_path):
    AutoConfig.for_model(kind).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"has no tokenizer .* Save the tokenizer that it was trained with"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_with_more_tokens_than_the_encoder_has_embeddings(make, reviews, tmp_path):
    hf = tiny_tokenizer()
    hf.add_tokens([f"word{i}" for i in range(100)])
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    AutoModel.from_config(AutoConfig.for_model("bert", vocab_size=400, **size)).save_pretrained(tmp_path)
    hf.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=rf"tokens up to number {len(hf) - 1}, but the encoder has embeddings for 400"):
        make(reviews, model=tmp_path)


def test_the_pair_separator_exists_only_with_token_types(tiny_tok):
    assert TextTokenizer(tiny_tok).pair_separator is None
    assert TextTokenizer(own_tokenizer("bert")).pair_separator == own_tokenizer("bert").sep_token_id
