"""Sentence embeddings from the cache."""

import numpy as np
import pytest
from transformers import AutoModel, AutoTokenizer

from kickbert.cache import Cache
from kickbert.cache.embeddings import embed

TEXTS = ["a bright, warm film", "I hated this story, and its film", "no fun"]


def test_the_mean_of_the_last_states_of_transformers_own_model(tiny):
    batch = AutoTokenizer.from_pretrained(tiny)(TEXTS, padding=True, return_tensors="pt")
    states, mask = AutoModel.from_pretrained(tiny).eval()(**batch)[0], batch["attention_mask"].unsqueeze(-1)
    expected = ((states * mask).sum(1) / mask.sum(1)).detach().numpy()
    found = embed(TEXTS, tiny, Cache())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-2)  # bf16 where the machine has it


def test_a_text_is_computed_once(tiny):
    cache = Cache()
    first = embed(TEXTS, tiny, cache)
    (store,) = cache.by_key.values()
    assert store.pooled and len(store.places) == 3
    again = embed([TEXTS[2], "another film", TEXTS[0]], tiny, cache)
    assert len(store.places) == 4 and len(store.segments[-1]) == 1  # the new one alone
    np.testing.assert_array_equal(again[[2, 0]], first[[0, 2]])


def test_without_room_they_are_computed_all_the_same(tiny, capsys):
    full = Cache(memory=0, disk=0)
    np.testing.assert_allclose(embed(TEXTS, tiny, full), embed(TEXTS, tiny, Cache()), atol=1e-6)
    assert (
        not sum(len(store.places) for store in full.by_key.values()) and "over the budgets" in capsys.readouterr().out
    )


@pytest.mark.parametrize("texts", [[], ["", "a film"]])
def test_no_texts_and_texts_of_no_words(tiny, texts):
    found = embed(texts, tiny, Cache())
    assert found.shape == (len(texts), 32) and np.isfinite(found).all()
