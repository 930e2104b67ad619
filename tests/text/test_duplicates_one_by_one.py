"""Near duplicates of texts that come one by one: exactly those whose sets of five-grams are alike enough."""

import random

from kickbert.text.duplicates import NearDuplicates

WORDS = "lamp broken parcel refund today nobody answers where bill wrong late again never colour".split()  # noqa: SIM905


def grams(text: str) -> set[str]:
    text = " ".join(text.lower().split())
    return {text[i : i + 5] for i in range(max(1, len(text) - 4))}


def test_it_finds_what_comparing_with_each_would_find():
    rng, known, texts, hits = random.Random(0), NearDuplicates(0.6), [], 0
    for _ in range(300):
        words = rng.choice(texts).split() if texts and rng.random() < 0.5 else rng.choices(WORDS, k=12)
        words[rng.randrange(len(words))] = rng.choice(WORDS)
        text = " ".join(words)
        like = any(len(grams(text) & grams(t)) >= 0.6 * len(grams(text) | grams(t)) for t in texts)
        assert known.has_like(text) == like
        hits += like
        known.add(text)
        texts.append(text)
    assert 50 < hits < 250


def test_case_white_space_and_length():
    known = NearDuplicates()
    known.add("Where IS\n my   parcel today?")
    assert known.has_like("where is my parcel today?") and not known.has_like("")
    known.add("x" * 10**6)
    assert known.has_like("x" * 10**6)
