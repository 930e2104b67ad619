"""Long texts: what is kept of them, and several windows pooled to one prediction, with the cache and without."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kickbert import Cache
from kickbert.data.bucketing import Packed, by_document
from kickbert.data.transforms import TextTokenizer
from kickbert.text.tokenization import PAD, truncate_ids


@given(st.lists(st.integers(), max_size=30), st.integers(0, 30))
def test_what_is_kept_of_a_text(ids, count):
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
def test_windows_hold_every_token_and_share_as_many_as_asked(tiny_tok, count, room, stride):
    if stride >= room:
        return
    tokens = TextTokenizer(tiny_tok, room + 2, long="windows", stride=stride)
    body = list(range(100, 100 + count))
    windows = [w[1:-1] for w in tokens.token_encoder._windows([body])]
    assert all(len(w) <= room for w in windows)
    joined = windows[0] + [t for w in windows[1:] for t in w[stride:]]
    assert joined == body
    assert len(windows) == 1 or all(len(w) > stride for w in windows)
    for one, two in pairwise(windows):
        assert one[-stride:] == two[:stride] or not stride


def test_windows_of_documents(tiny_tok):
    tokens = TextTokenizer(tiny_tok, 10, long="windows", stride=2)
    rows, first, cut = tokens.encode_documents(["a film", "I loved this story " * 8, ""])
    assert not cut.any() and first[0] == 0 and first[-1] == len(rows) and np.diff(first)[[0, 2]].tolist() == [1, 1]
    assert np.diff(first)[1] > 1 and all(len(r) <= 10 for r in rows)


def test_bad_ways(tiny_tok):
    with pytest.raises(ValueError, match="long='window'"):
        TextTokenizer(tiny_tok, 10, long="window")
    with pytest.raises(ValueError, match="stride=8 must be less than the 8 tokens"):
        TextTokenizer(tiny_tok, 10, long="windows", stride=8)


def test_windows_stand_with_their_document():
    x = by_document(torch.tensor([[1, 2], [3, 4], [5, 6]]), np.array([2, 1]))
    assert x.tolist() == [[[1, 2], [3, 4]], [[5, 6], [PAD, PAD]]]


def test_packed_documents():
    packed = Packed.of([np.arange(n, dtype=np.int32) for n in (3, 2, 4)], np.array([0, 2, 3]))
    assert packed.sizes.tolist() == [5, 4] and packed.of_documents([1, 0]) == [2, 0, 1]


@pytest.fixture
def letters() -> pd.DataFrame:
    """Rows whose label stands at the end of many words; every fifth is short."""
    rng = np.random.default_rng(0)
    filler = ["a bright film", "a dull film", "this story", "no fun", "great acting"]
    rows = []
    for i in range(60):
        label = ("good", "bad")[i % 2]
        words = rng.choice(filler, 1 if i % 5 == 0 else rng.integers(3, 12)).tolist()
        rows.append((" ".join([*words, "I loved it" if label == "good" else "I hated it"]), label))
    return pd.DataFrame(rows, columns=["text", "label"])


WINDOWS = {"long": "windows", "max_length": 16, "stride": 4}


def test_a_prediction_for_each_document(make, letters):
    learn = make(letters, **WINDOWS)
    learn.fit_gradual()
    predicted = learn.predict_df(letters)
    assert len(predicted) == len(letters) and predicted["label"].isin(["good", "bad"]).all()
    alone = pd.concat([learn.predict_df(letters.iloc[[i]]) for i in (0, 1, 7)])
    together = predicted.loc[alone.index]
    assert np.allclose(alone.filter(like="prob_"), together.filter(like="prob_"), atol=1e-5)
    assert learn.predict(letters["text"][1])[0] == predicted["label"][1]


@pytest.mark.parametrize("freeze_to", [0, 2, 3])
def test_the_cache_changes_no_number(make, letters, freeze_to):
    losses = []
    for cache in (False, Cache()):
        learn = make(letters, **WINDOWS, cache=cache, dropout=0.0)
        learn.freeze_to(freeze_to)
        learn.fit_one_cycle(2, 1e-3)
        losses.append(learn.recorder.losses)
    assert np.allclose(losses[0], losses[1], atol=1e-5)
    assert len(learn.cache.info()) == (0 if freeze_to == 0 else 1)


def test_windows_are_stored_once(make, letters):
    stores = Cache()
    learn = make(letters, **WINDOWS, cache=stores)
    learn.freeze()
    learn.fit_one_cycle(1, 1e-3)
    windows = {key for dl in learn.dls.loaders for key in dl.rows[0].keys}
    assert learn.cache.info()["rows"].tolist() == [len(windows)]


def test_several_labels_of_long_documents(make, letters):
    df = letters.assign(label=[["good", "long"] if "loved" in t and len(t) > 60 else ["bad"] for t in letters["text"]])
    learn = make(df, **WINDOWS)
    learn.fit_gradual()
    assert set(map(len, learn.predict_df(df)["labels"])) <= {0, 1, 2, 3}


def test_pictures_of_batches(make, letters, capsys):
    learn = make(letters, **WINDOWS)
    learn.dls.valid.show_batch(max_n=3)  # longest first
    assert " … " in capsys.readouterr().out
