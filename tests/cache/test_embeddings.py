"""Sentence embeddings from the cache."""

import numpy as np
import pytest
from transformers import AutoModel, AutoTokenizer

from kickbert.cache import Cache
from kickbert.cache.embeddings import embed

TEXTS = ["a bright, warm film", "I hated this story, and its film", "no fun"]


def test_embeddings_are_the_mean_of_the_last_states(tiny):
    batch = AutoTokenizer.from_pretrained(tiny)(TEXTS, padding=True, return_tensors="pt")
    states, mask = AutoModel.from_pretrained(tiny).eval()(**batch)[0], batch["attention_mask"].unsqueeze(-1)
    expected = ((states * mask).sum(1) / mask.sum(1)).detach().numpy()
    embeddings = embed(TEXTS, tiny, Cache())
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, expected, atol=2e-2)  # bf16 if the machine has it


def test_a_text_is_computed_once(tiny):
    cache = Cache()
    first = embed(TEXTS, tiny, cache)
    (store,) = cache.by_key.values()
    assert store.pooled and len(store.positions) == 3
    again = embed([TEXTS[2], "another film", TEXTS[0]], tiny, cache)
    assert len(store.positions) == 4 and len(store.segments[-1]) == 1  # only the new one
    np.testing.assert_array_equal(again[[2, 0]], first[[0, 2]])


def test_embeddings_over_the_budget_are_computed(tiny, capsys):
    full = Cache(memory=0, disk=0)
    np.testing.assert_allclose(embed(TEXTS, tiny, full), embed(TEXTS, tiny, Cache()), atol=1e-6)
    assert not sum(len(store.positions) for store in full.by_key.values()) and "budgets" in capsys.readouterr().out


@pytest.mark.parametrize("texts", [[], ["", "a film"]])
def test_no_texts_and_texts_without_words(tiny, texts):
    embeddings = embed(texts, tiny, Cache())
    assert embeddings.shape == (len(texts), 32) and np.isfinite(embeddings).all()
