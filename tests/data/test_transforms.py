import pickle

import pytest
from conftest import SHARED
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from kickbert.data.transforms import TextTokenizer, load_tokenizer
from kickbert.text.tokenization import SEP, join_columns, share_tokens


def test_one_text_is_framed_as_the_tokenizer_frames_it(tiny_tok):
    tokens = TextTokenizer(tiny_tok)("a dull film")
    assert tokens.tolist() == tiny_tok("a dull film")["input_ids"]


def test_two_columns_are_joined_as_the_tokenizer_joins_a_pair(tiny_tok):
    tokens = TextTokenizer(tiny_tok)(join_columns(["great fun"], ["I loved it"])[0])
    assert tokens.tolist() == tiny_tok("great fun", "I loved it")["input_ids"]


@pytest.mark.parametrize("name", ["minilm", "roberta-base"])
def test_real_tokenizers_agree_with_their_own_pairs(name, minilm):
    if name == "roberta-base":
        name = SHARED / "tokenizers" / "roberta-base"
        if not name.exists():
            pytest.skip("the real roberta-base tokenizer is not at hand")
        hf = AutoTokenizer.from_pretrained(name)  # this folder holds no model
    else:
        hf = load_tokenizer(name)
    tokenizer = TextTokenizer(hf)
    assert tokenizer("Héllo, wörld 😀!").tolist() == hf("Héllo, wörld 😀!")["input_ids"]
    assert tokenizer(f"Hello{SEP}two columns").tolist() == hf("Hello", "two columns")["input_ids"]


@pytest.mark.parametrize("length", [5, 9, 20])
def test_truncation_counts_tokens_and_keeps_the_special_ones(tiny_tok, length):
    tokens = TextTokenizer(tiny_tok, max_length=length)("boring and flat " * 50)
    assert len(tokens) == length
    assert tokens[0] == tiny_tok.bos_token_id and tokens[-1] == tiny_tok.eos_token_id
    assert tokens[1:-1].tolist() == tiny_tok("boring and flat " * 50)["input_ids"][1 : length - 1]


def test_every_column_keeps_its_share_and_its_separators(tiny_tok):
    tokens = TextTokenizer(tiny_tok, max_length=20)(join_columns(["great fun"], ["boring and flat " * 50])[0]).tolist()
    first = tiny_tok("great fun", add_special_tokens=False)["input_ids"]
    assert tokens[: len(first) + 1] == [0, *first]
    assert tokens[len(first) + 1 : len(first) + 3] == [2, 2] and tokens[-1] == 2 and len(tokens) == 20


def test_special_tokens_in_a_text_are_read_as_text(tiny_tok):
    tokens = TextTokenizer(tiny_tok)("a </s> b <mask> <pad>").tolist()
    assert tokens.count(tiny_tok.eos_token_id) == 1
    assert tiny_tok.mask_token_id not in tokens and tiny_tok.pad_token_id not in tokens


def test_which_rows_were_cut_is_told(tiny_tok):
    rows, cut = TextTokenizer(tiny_tok, max_length=8).encode_batch(["fun", "a real delight " * 9])
    assert cut.tolist() == [False, True] and len(rows[1]) == 8


@given(st.lists(st.text(), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_legal_tokens(columns):
    tokenizer = _shared_tokenizer()
    text = join_columns(*[[c.encode("utf-8", "replace").decode()] for c in columns])[0]
    ids = tokenizer(text).tolist()
    assert 2 <= len(ids) <= tokenizer.max_length
    assert ids[0] == 0 and ids[-1] == 2 and 1 not in ids


_TOKENIZERS = []


def _shared_tokenizer() -> TextTokenizer:
    if not _TOKENIZERS:
        from conftest import tiny_tokenizer

        _TOKENIZERS.append(TextTokenizer(tiny_tokenizer(), max_length=16))
    return _TOKENIZERS[0]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6), st.integers(0, 80))
def test_shares_fill_the_room_and_no_more(lengths, room):
    kept = share_tokens(lengths, room)
    assert all(0 <= k <= n for k, n in zip(kept, lengths, strict=True))
    assert sum(kept) == min(sum(lengths), room)


@pytest.mark.parametrize("text", ["x" * 1_000_000, "word " * 200_000, "\x00\x00", "مرحبا بالعالم", "👩🏽‍🚀" * 99, ""])
def test_hard_texts(tiny_tok, text):
    ids = TextTokenizer(tiny_tok)(text).tolist()
    assert 2 <= len(ids) <= 64 and ids[0] == 0 and ids[-1] == 2


def test_max_length_above_the_limit(tiny_tok):
    with pytest.raises(ValueError, match="max_length=65 is not between 3 and 64, the most tokens this model takes"):
        TextTokenizer(tiny_tok, max_length=65)
    with pytest.raises(ValueError, match="max_length=2 is not between"):
        TextTokenizer(tiny_tok, max_length=2)


def test_decoding_shows_the_text_without_its_frame(tiny_tok):
    tokenizer = TextTokenizer(tiny_tok)
    assert tokenizer.decode(tokenizer(f"great fun{SEP}I loved it")) == "great fun | I loved it"


def test_exporting_leaves_the_texts_out(tiny_tok):
    tokenizer = TextTokenizer(tiny_tok)
    tokenizer.setups(["a dull film"])
    assert tokenizer._known
    again = pickle.loads(pickle.dumps(tokenizer))
    assert not again._known
    assert again("a dull film").tolist() == tokenizer("a dull film").tolist()


def test_a_slow_tokenizer_is_refused(tmp_path):
    from transformers import CanineConfig, CanineTokenizer

    CanineTokenizer().save_pretrained(tmp_path)
    CanineConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"slow tokenizer only \(CanineTokenizer\)"):
        load_tokenizer(tmp_path)
