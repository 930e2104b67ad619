"""Texts with topic words, and embeddings of words: for testing labeling without an encoder."""

import zlib

import numpy as np
import pandas as pd

WORDS = {
    "sport": ["match", "team", "goal", "coach", "league", "win", "score", "player", "cup", "stadium"],
    "money": ["market", "bank", "shares", "profit", "loan", "price", "trade", "stock", "budget", "tax"],
    "health": ["doctor", "nurse", "virus", "clinic", "patient", "drug", "surgery", "vaccine", "pain", "diet"],
    "travel": ["train", "hotel", "flight", "beach", "luggage", "ticket", "island", "border", "visa", "map"],
}
COMMON = ["today", "people", "said", "after", "before", "with", "from", "about", "there", "where", "when", "which"]


def topics(rows: int, seed: int = 0, classes: int = 4, topic_words: int = 2) -> pd.DataFrame:
    """Rows with text and label; `topic_words` of the twelve words of a text belong to its topic."""
    rng, names = np.random.default_rng(seed), list(WORDS)[:classes]
    labels = rng.choice(names, rows)
    texts = []
    for label in labels:
        words = [*rng.choice(WORDS[label], topic_words), *rng.choice(COMMON, 12 - topic_words)]
        texts.append(" ".join(rng.permutation(words)) + f" {rng.integers(10**6)}")
    return pd.DataFrame({"text": texts, "label": labels})


def embed(texts: list[str]) -> np.ndarray:
    """Counts of words, by their hashes, float32, shape (n, 64)."""
    out = np.zeros((len(texts), 64), dtype=np.float32)
    for row, text in zip(out, texts, strict=True):
        for word in text.split():
            row[zlib.crc32(word.encode()) % 64] += 1
    return out
