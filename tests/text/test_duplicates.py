"""Duplicates and near duplicates in a table, and test rows that are also in the training set."""

import random
import time

import numpy as np
import pandas as pd
import pytest

from kickbert.text.duplicates import NearDuplicates, duplicates, leaks, near_duplicates, shown_groups

SOUP = "the soup tasted of summer and the bread came warm to the table by the window"
TEXTS = [SOUP, "a dull film", f" {SOUP.upper()}", f"{SOUP}!", "", "", "something else altogether"]


def test_exact_duplicates_ignore_case_and_whitespace():
    table = duplicates(pd.DataFrame(index=list("abcdefg")), TEXTS)
    assert table[["row", "same as row"]].to_numpy().tolist() == [["c", "a"]]  # rows without text are not duplicates


def test_near_duplicates_are_grouped_and_shown():
    groups = near_duplicates(TEXTS)
    assert groups == [[0, 3]]
    shown = shown_groups(pd.DataFrame(index=range(7)), TEXTS, groups)
    assert shown[["group", "row"]].to_numpy().tolist() == [[1, 0], [1, 3]]
    assert near_duplicates(TEXTS, similar=0.99) == [] and near_duplicates([]) == []
    with pytest.raises(ValueError, match=r"similar=1 is not between 0 and 1; give a Jaccard similarity"):
        near_duplicates(TEXTS, similar=1)


def test_near_duplicates_agree_with_comparing_all_pairs():
    words = "lamp broken parcel refund today nobody answers where bill wrong late again never color".split()  # noqa: SIM905
    rng = random.Random(0)
    known = NearDuplicates(0.6)
    texts, sets, hits, missed = [], [], 0, 0
    for _ in range(300):
        chosen = rng.choice(texts).split() if texts and rng.random() < 0.5 else rng.choices(words, k=12)
        chosen[rng.randrange(len(chosen))] = rng.choice(words)
        text = " ".join(chosen)
        grams = {text[i : i + 5] for i in range(len(text) - 4)}
        alike = any(len(grams & other) >= 0.6 * len(grams | other) for other in sets)
        assert alike or not known.has_like(text)
        hits += alike
        missed += alike and not known.has_like(text)
        known.add(text)
        texts.append(text)
        sets.append(grams)
    assert 50 < hits < 250 and missed <= 0.01 * hits


def test_texts_from_one_template_take_seconds():
    texts = [f"order {i} arrived late and nobody answers my mails about it" for i in range(3_000)]
    start = time.process_time()
    assert near_duplicates(texts) == [list(range(3_000))]
    assert time.process_time() - start < 10  # comparing all pairs takes longer


def test_case_and_whitespace_are_ignored_and_long_texts_truncated():
    known = NearDuplicates()
    known.add("Where IS\n my   parcel today?")
    assert known.has_like("where is my parcel today?") and not known.has_like("")
    known.add("x" * 10**6)
    assert known.has_like("x" * 10**6)


def test_leaks_are_test_rows_that_are_also_training_rows():
    held = np.array([False, False, True, True, False, True, True])
    table = leaks(TEXTS, held, pd.RangeIndex(7), [[0, 3]])
    assert table[["row", "training row", "match"]].to_numpy().tolist() == [
        [2, 0, "exact"],
        [3, 0, "near"],
    ]
