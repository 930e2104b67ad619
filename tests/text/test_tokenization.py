"""Texts to token ids: truncated or in windows, with special tokens in the tokenizer's positions."""

import json
from itertools import pairwise

import numpy as np
import pytest
from conftest import tiny_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from kickbert.data.transforms import TextTokenizer
from kickbert.text.tokenization import SEP, TokenEncoder, join_columns, longest_first, truncate_ids


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


def test_truncated_rows_are_reported(tiny_tok):
    rows, cut = TextTokenizer(tiny_tok, max_length=8).encode_batch(["fun", "a real delight " * 9])
    assert cut.tolist() == [False, True] and len(rows[1]) == 8


@given(st.lists(st.text(), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_text_has_valid_tokens(columns):
    tokenizer = _shared_tokenizer()
    text = join_columns(*[[c.encode("utf-8", "replace").decode()] for c in columns])[0]
    ids = tokenizer(text).tolist()
    assert 2 <= len(ids) <= tokenizer.max_length
    assert ids[0] == 0 and ids[-1] == 2 and 1 not in ids


_TOKENIZERS = []


def _shared_tokenizer() -> TextTokenizer:
    if not _TOKENIZERS:
        _TOKENIZERS.append(TextTokenizer(tiny_tokenizer(), max_length=16))
    return _TOKENIZERS[0]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6), st.integers(0, 80))
def test_shares_add_up_to_the_budget(lengths, budget):
    kept = longest_first(lengths, budget)
    assert all(0 <= k <= n for k, n in zip(kept, lengths, strict=True))
    assert sum(kept) == min(sum(lengths), budget)


@pytest.mark.parametrize("text", ["x" * 1_000_000, "word " * 200_000, "\x00\x00", "مرحبا بالعالم", "👩🏽‍🚀" * 99, ""])
def test_unusual_texts(tiny_tok, text):
    ids = TextTokenizer(tiny_tok)(text).tolist()
    assert 2 <= len(ids) <= 64 and ids[0] == 0 and ids[-1] == 2


@given(st.lists(st.integers(), max_size=30), st.integers(0, 30))
def test_kept_part_of_a_text(ids, count):
    kept = {keep: truncate_ids(ids, count, keep) for keep in ("truncate", "tail", "head+tail")}
    assert all(len(k) == min(len(ids), count) for k in kept.values())
    assert kept["truncate"] == ids[:count]
    assert kept["tail"] == (ids[-count:] if count else [])
    head = min(len(ids), count) if len(ids) <= count else count // 4
    assert kept["head+tail"][:head] == ids[:head]


@pytest.mark.parametrize("keep", ["truncate", "tail", "head+tail"])
def test_truncation_keeps_the_special_tokens(tiny_tok, keep):
    tokens = TextTokenizer(tiny_tok, 12, long=keep)
    (row,), cut = tokens.encode_batch(["a wonderful and moving story " * 5])
    assert cut.tolist() == [True] and len(row) == 12
    assert row[0] == tiny_tok.bos_token_id and row[-1] == tiny_tok.eos_token_id


@given(st.integers(0, 60), st.integers(3, 20), st.integers(0, 10))
def test_windows_contain_every_token_and_overlap_by_stride(tiny_tok, count, length, stride):
    if stride >= length:
        return
    tokens = TextTokenizer(tiny_tok, length + 2, long="windows", stride=stride)
    body = list(range(100, 100 + count))
    windows = [w[1:-1] for w in tokens.token_encoder._windows([body])]
    assert all(len(w) <= length for w in windows)
    joined = windows[0] + [t for w in windows[1:] for t in w[stride:]]
    assert joined == body
    assert len(windows) == 1 or all(len(w) > stride for w in windows)
    for one, two in pairwise(windows):
        assert one[-stride:] == two[:stride] or not stride


def test_windows_of_documents(tiny_tok):
    tokens = TextTokenizer(tiny_tok, 10, long="windows", stride=2)
    rows, first, cut = tokens.token_encoder.encode_documents(["a film", "I loved this story " * 8, ""])
    assert not cut.any() and first[0] == 0 and first[-1] == len(rows) and np.diff(first)[[0, 2]].tolist() == [1, 1]
    assert np.diff(first)[1] > 1 and all(len(r) <= 10 for r in rows)


def test_invalid_options(tiny_tok):
    with pytest.raises(ValueError, match="long='window'"):
        TextTokenizer(tiny_tok, 10, long="window")
    with pytest.raises(ValueError, match="stride=8 must be less than the 8 tokens"):
        TextTokenizer(tiny_tok, 10, long="windows", stride=8)


@pytest.fixture
def resized():
    """A tokenizer with added special tokens, as for a model with resized embeddings."""
    hf = tiny_tokenizer()
    hf.add_special_tokens({"additional_special_tokens": ["<user>", "<item>"]})
    hf.add_tokens(["lampshade"])
    return hf


def test_added_special_tokens_are_kept_and_the_tokenizers_own_are_text(resized):
    own = TextTokenizer(resized)("a <user> </s> <mask> lampshade").tolist()
    user, shade = resized.convert_tokens_to_ids(["<user>", "lampshade"])
    assert own.count(user) == 1 and own.count(shade) == 1
    assert own.count(resized.eos_token_id) == 1 and resized.mask_token_id not in own
    text = "a <user>, no <item> lampshade"
    assert TextTokenizer(resized)(text).tolist() == resized(text)["input_ids"]


def test_a_token_encoder_is_the_same_after_json(resized):
    encoder = TextTokenizer(resized, 12, long="windows", stride=2).token_encoder
    content = json.loads(json.dumps(encoder.to_dict()))
    assert content["extra_special_tokens"] == ["<user>", "<item>"]
    backend = Tokenizer.from_str(resized.backend_tokenizer.to_str())
    again, text = TokenEncoder(backend, **content), "a <user> no <item> " * 9
    for ours, theirs in zip(encoder.encode_documents([text])[0], again.encode_documents([text])[0], strict=True):
        assert ours.tolist() == theirs.tolist()


def test_the_special_tokens_of_the_tokenizer_are_unchanged(resized):
    TextTokenizer(resized)
    assert all(token["special"] for token in json.loads(resized.backend_tokenizer.to_str())["added_tokens"][:-1])


def test_words_and_their_tokens(tiny_tok):
    words, word_of = TextTokenizer(tiny_tok).token_encoder.words(f"a dull film{SEP}no fun")
    assert words == ["a", "dull", "film", "no", "fun"]
    assert word_of[0] == word_of[-1] == -1 and sorted(set(word_of[word_of >= 0].tolist())) == [0, 1, 2, 3, 4]


def test_tokens_are_counted_before_truncation(tiny_tok):
    encoder = TextTokenizer(tiny_tok, 8).token_encoder
    text = "a real delight " * 9
    assert encoder.count(["", text]).tolist() == [2, len(tiny_tok(text, truncation=False)["input_ids"])]
