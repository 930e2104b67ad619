"""Variants of training texts: changes, labels, and no leakage into validation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kickbert import Cache
from kickbert.text import EDA, CharacterNoise
from kickbert.text.augmentation import (
    Augmenter,
    augment_texts,
    deletion,
    insertion,
    split_words,
    swap,
    synonyms,
    synonyms_of,
)
from kickbert.text.tokenization import SEP

TEXT = "The quick dog doesn't like a big, old house!"


@given(st.text(max_size=60))
def test_joined_parts_are_the_text(text):
    parts, positions = split_words(text)
    assert "".join(parts) == text and all(parts[i] for i in positions)


@pytest.mark.parametrize("operation", [synonyms, insertion, swap, deletion])
@given(st.integers(0, 50), st.integers(1, 4))
def test_operations_change_words_only(operation, seed, count):
    parts, positions = split_words(TEXT)
    words = [parts[i] for i in positions]
    out = operation(parts, positions, count, np.random.default_rng(seed))
    text = "".join(out)
    assert text.endswith("!") and "  " not in text
    assert [parts[i] for i in positions] == words  # the input is unchanged
    new_words = split_words(text)[0][1::2]
    if operation is swap:
        assert sorted(new_words) == sorted(words)
    if operation is deletion:
        assert len(new_words) == len(words) - count
    if operation is synonyms:
        changed = [(a, b) for a, b in zip(parts, out, strict=True) if a != b]
        assert 0 < len(changed) <= count
        assert all(b.lower() in map(str.lower, synonyms_of(a.lower())) for a, b in changed)


def test_a_single_word_is_never_deleted():
    parts, positions = split_words("lamp")
    assert "".join(deletion(parts, positions, 3, np.random.default_rng(0))) == "lamp"


def test_synonyms_are_from_wordnet():
    assert {"auto", "automobile", "motorcar"} <= set(synonyms_of("car"))
    assert synonyms_of("qwertzuiop") == []


@pytest.mark.parametrize("augmenter", [EDA(), EDA(0.5, ["swap"]), CharacterNoise(0.5)])
@pytest.mark.parametrize("text", ["", "  ", "!", "lamp", TEXT, "日本語 のテキスト", "a" * 5000])
def test_any_text_has_variants(augmenter, text):
    (variants,) = augmenter([text], 3, np.random.default_rng(0))
    assert len(variants) == 3 and all(isinstance(v, str) for v in variants)
    again = augmenter([text], 3, np.random.default_rng(0))
    assert again == [variants]  # deterministic for a seed


def test_typos_change_few_characters():
    (variants,) = CharacterNoise(1.0)(["wonderful cat"], 20, np.random.default_rng(0))
    assert all(v.endswith(" cat") and v[0] == "w" and abs(len(v) - 13) <= 1 for v in variants)
    assert len(set(variants)) > 5


def test_columns_are_augmented_separately():
    text = SEP.join(["the big dog", "an old house"])
    (variants,) = augment_texts([text], EDA(0.5), 8, np.random.default_rng(0), SEP)
    assert variants and all(v.count(SEP) == 1 and v != text for v in variants) and len(set(variants)) == len(variants)


@pytest.mark.parametrize(("alpha", "operations"), [(0, ["swap"]), (0.1, ["swop"]), (0.1, [])])
def test_invalid_eda(alpha, operations):
    with pytest.raises(ValueError, match="must be above 0"):
        EDA(alpha, operations)


def rows_of(dl) -> set[bytes]:
    ids = dl.rows[0]
    return {ids.row(i).tobytes() for i in range(len(ids))}


class Marked(Augmenter):
    """Variants that contain the original text."""

    seen: frozenset[str] = frozenset()

    def __call__(self, texts, n, rng):
        self.seen = self.seen | set(texts)
        return super().__call__(texts, n, rng)

    def each(self, text, number, rng):
        return f"{text} variant {number}"


@pytest.mark.parametrize("each_epoch", [False, True])
def test_validation_texts_and_their_variants_are_not_in_training(make, reviews, each_epoch):
    marked = Marked(2, each_epoch)
    learn = make(reviews, augment=marked)
    learn.freeze()
    learn.fit_one_cycle(2, 1e-3)
    train = {learn.dls.train_ds.tls[0].items[i].text for i in range(len(learn.dls.train_ds))}
    valid = {learn.dls.valid_ds.tls[0].items[i].text for i in range(len(learn.dls.valid_ds))}
    assert marked.seen and not valid & marked.seen
    assert not any(text.startswith(v + " variant") for text in train for v in valid)
    assert not rows_of(learn.dls.train) & rows_of(learn.dls.valid)
    assert not any(" variant" in text for text in valid)


def test_static_variants_are_training_rows_and_are_stored(make, reviews):
    plain = make(reviews)
    more = make(reviews, augment=Marked(2), cache=Cache())
    n = len(plain.dls.train_ds)
    assert len(more.dls.train_ds) == 3 * n and len(more.dls.valid_ds) == len(plain.dls.valid_ds)
    targets = more.dls.train.rows[1]
    assert targets[n:].tolist() == [t for t in targets[:n].tolist() for _ in range(2)]
    more.freeze()
    more.fit_one_cycle(1, 1e-3)
    assert more.cache.info()["rows"].iloc[0] == len(rows_of(more.dls.train) | rows_of(more.dls.valid))


def test_variants_of_each_epoch_are_new_and_not_stored(make, reviews, capsys):
    learn = make(reviews, augment=EDA(0.5, variants=3, each_epoch=True), cache=Cache())
    before = rows_of(learn.dls.train)
    learn.freeze()
    learn.fit_one_cycle(2, 1e-3)
    assert "training texts change from epoch to epoch" in capsys.readouterr().out
    assert learn.cache.info()["rows"].iloc[0] == len(rows_of(learn.dls.valid))
    assert rows_of(learn.dls.train) == before  # the original rows are unchanged
    epochs = [{learn.dls.train.ids.row(i).tobytes() for i in range(len(before))} for _ in iter_epochs(learn)]
    assert epochs[0] != epochs[1] and epochs[0] & before


def iter_epochs(learn):
    for _ in range(2):
        list(learn.dls.train)
        yield
