"""Rows with texts and other columns, both of which say something of the label."""

import numpy as np
import pandas as pd


def campaigns(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Make rows whose label depends on a category and a number, or else on a word of the text."""
    rng = np.random.default_rng(seed)
    category = rng.choice(["Games", "Art", "Food"], rows)
    goal = np.round(np.exp(rng.normal(7, 2, rows)), 2)
    word = rng.choice(["good", "bad"], rows)
    high = (category == "Games") & (goal > 1_000)
    return pd.DataFrame(
        {
            "text": [f"a {w} film number {i}" for i, w in enumerate(word)],
            "category": category,
            "goal": goal,
            "launched": pd.date_range("2020-01-01", periods=rows).strftime("%Y-%m-%d"),
            "label": np.where(high, "high", np.where(word == "good", "middle", "low")),
        }
    )


BESIDE = {"cat_names": ["category"], "cont_names": ["goal"], "date_names": ["launched"]}
