"""Write tweets_sample.csv: short posts whose sentiment depends on how clauses are combined, not on single words."""

import random
import re

import pandas as pd
from compose import Composer, flip_labels, load_words, misspell, tidy, unique_texts, write_from_command_line

TOPICS = ("food", "travel", "tech", "show", "shop", "help", "match", "stay", "class")
LABELS = {"negative": 0.34, "neutral": 0.32, "positive": 0.34}
LABEL_NOISE = 0.06
PLAIN_SHARE = 0.85  # clauses with an adjective or a mood; the others tell a small story
# Shares of the ways a sentiment is expressed; in "mixed", "unreal", "sarcasm" and so on, the words mislead.
WAYS = {
    "negative": {"plain": 54, "mixed": 33, "unreal": 3, "sarcasm": 7, "wish": 3},
    "positive": {"plain": 54, "mixed": 33, "unreal": 3, "grudging": 7, "relieved": 3},
    "neutral": {"neutral_ask": 42, "neutral_both": 28, "neutral_fact": 30},
}


def draw(weights: dict[str, float], rng: random.Random) -> str:
    """Pick a key with probability proportional to its weight."""
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def clauses(topic: str, label: str, rng: random.Random) -> dict[str, str]:
    """Slots for one post: W and W2 decide its sentiment, L is overruled, X and Y are one of each kind in any order."""
    sources = rng.choices(("any", topic), (PLAIN_SHARE, 1 - PLAIN_SHARE), k=2)
    good, bad = (f"{{{topic}.s}} {{{source}.{kind}}}" for source, kind in zip(sources, "gb", strict=True))
    win, lose = (good, bad) if label == "positive" else (bad, good)
    x, y = rng.sample([good, bad], 2)
    parts = {"G": good, "B": bad, "W": win, "W2": win, "L": lose, "X": x, "Y": y}
    code = "".join(rng.choices("abcdefghijkmnpqrstuvwxyz23456789", k=7))
    return parts | {name: f"{{{topic}.{name}}}" for name in ("place", "handle", "fact")} | {"code": code}


def type_badly(text: str, composer: Composer, topic: str) -> str:
    """Add what thumbs do: missing capitals and periods, shouting, typos, a hashtag, an emoji that says little."""
    rng = composer.rng
    text = misspell(text, rng, rate=0.012)
    if rng.random() < 0.45:
        text = text.lower()
    elif rng.random() < 0.04:
        text = re.sub(r"[^\s@]+", lambda m: m[0].upper() if "/" not in m[0] else m[0], text, count=4)
    if rng.random() < 0.2:
        text = re.sub(r"[,.](?= |$)", "", text)
    elif rng.random() < 0.55 and text[-1] not in "?!.":
        text += rng.choice([".", ".", "!", "...", "!!"])
    if rng.random() < 0.25:
        text += " " + composer.deal(f"{topic}.tag")
    if rng.random() < 0.2:
        text += " " + composer.deal("anymoji")
    return text


def compose_tweet(label: str, composer: Composer) -> str:
    """Compose one post of the given sentiment."""
    rng = composer.rng
    topic = rng.choice(TOPICS)
    pattern = composer.deal(draw(WAYS[label], rng))
    text = composer.fill(pattern, **clauses(topic, label, rng))
    if rng.random() < 0.08 and not text.startswith("@"):
        text = f"@{composer.deal(f'{topic}.handle')} {text}"
    text = re.sub(r"\bi\b", "I", tidy(text))
    return type_badly(text, composer, topic)


def make_tweets(rows: int, seed: int) -> pd.DataFrame:
    """Make synthetic posts labeled negative, neutral, or positive.

    Args:
        rows: number of posts.
        seed: the same seed gives the same rows.
    Returns:
        Columns `text` and `label`; `LABEL_NOISE` of the labels are wrong on purpose.
    """
    rng = random.Random(seed)
    composer = Composer(load_words("tweet_patterns", "tweet_clauses", "tweet_feelings"), rng)
    labels = rng.choices(list(LABELS), weights=list(LABELS.values()), k=rows)
    texts = unique_texts(lambda label: compose_tweet(label, composer), labels)
    return pd.DataFrame({"text": texts, "label": flip_labels(labels, LABEL_NOISE, rng)})


if __name__ == "__main__":
    write_from_command_line(make_tweets, rows=2400, seed=11, out="tweets_sample.csv")
