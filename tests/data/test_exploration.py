"""Exploration of constructed rows with duplicates, leaks and a wrong label."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from kickbert import explore

GOOD = "the waiter was wonderful and the soup tasted of summer and the bread came warm number"
BAD = "the waiter was dreadful and the soup tasted of nothing and the bread came stale number"


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    words = ["table", "window", "garden", "street", "morning", "evening", "plate", "spoon", "music", "chair", "corner"]
    texts = [f"{(GOOD, BAD)[i % 2]} {' '.join(rng.choice(words, 14))}" for i in range(200)]
    df = pd.DataFrame({"text": texts, "label": ["good", "bad"] * 100, "split": ["train"] * 150 + ["test"] * 50})
    df.loc[10, "text"] = df.loc[4, "text"].upper()  # the same except for case
    df.loc[190, "text"] = df.loc[20, "text"]  # in the training and the test set
    df.loc[191, "text"] = df.loc[31, "text"] + "!"  # nearly a duplicate
    df.loc[60, "label"] = "bad"  # wrong
    df.loc[7, "text"] = None
    return df


@pytest.fixture(scope="module")
def exploration(rows):
    return explore(rows, model="minilm")


def test_the_summary_counts(exploration):
    values = dict(zip(exploration.to_frame()["statistic"], exploration.to_frame()["value"], strict=True))
    assert values["rows"] == 200 and values["rows without text"] == 1 and values["classes"] == 2
    assert values["exact duplicates"] == 2 and values["test rows also in the training set"] == 2
    assert "rows without text" in repr(exploration) and "<table" in exploration._repr_html_()


def test_duplicates_and_leaks_name_their_rows(exploration):
    assert exploration.tables["duplicates"][["row", "same as row"]].to_numpy().tolist() == [[10, 4], [190, 20]]
    leaks = exploration.tables["leaks"].set_index("row")
    assert leaks.loc[190, "match"] == "exact" and leaks.loc[191, "match"] == "near"
    assert leaks.loc[191, "training row"] == 31


def test_distinctive_words(exploration):
    words = exploration.tables["distinctive words"].set_index("class")["words"]
    assert {"wonderful", "summer", "warm"} <= set(words["good"].split(", "))
    assert {"dreadful", "nothing", "stale"} <= set(words["bad"].split(", "))
    assert "waiter" not in words["good"]


def test_a_wrong_label_is_flagged(exploration):
    assert exploration.tables["suspicious labels"]["row"].tolist()[0] == 60


def test_lengths_and_languages(exploration):
    lengths = exploration.tables["lengths"].set_index("max_length")["share truncated"]
    assert lengths[512] == 0 and lengths.is_monotonic_decreasing
    assert exploration.tables["languages"]["language"].iloc[0] == "en"


def test_lengths_of_texts_above_every_limit():
    exploration = explore(pd.DataFrame({"text": ["word " * n for n in (10, 300, 900, 1100)]}))
    lengths = exploration.tables["lengths"].set_index("max_length")["share truncated"]
    assert lengths.to_dict() == {32: 0.75, 64: 0.75, 128: 0.75, 256: 0.75, 512: 0.5}
    assert exploration.lengths.tolist() == [12, 302, 902, 1102]
    assert 'long="windows"' in exploration.to_frame().set_index("statistic").loc["median tokens", "recommendation"]


def test_other_columns_and_multi_label_targets(rows):
    df = pd.DataFrame({"a": rows["text"], "b": "x", "labels": ["p|q", "p", "", "q"] * 50})
    exploration = explore(df, text_col=["a", "b"], label_col="labels", label_delim="|")
    assert "leaks" not in exploration.tables and "suspicious labels" not in exploration.tables
    assert exploration.tables["classes"]["class"].tolist() == ["p", "q"]
    assert explore(df[["a"]], text_col="a").to_frame() is not None


def test_invalid_input(rows):
    with pytest.raises(ValueError, match="label_col='lable' is not a column"):
        explore(rows, label_col="lable")
    with pytest.raises(TypeError, match="pandas DataFrame"):
        explore([1, 2])


def test_numbers_have_no_classes(rows):
    exploration = explore(rows.assign(price=np.random.default_rng(0).lognormal(3, 1, len(rows))), label_col="price")
    assert "classes" not in exploration.tables and "suspicious labels" not in exploration.tables


def test_the_page_contains_the_tables_and_needs_no_network(exploration, tmp_path):
    text = exploration.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "Distinctive words" in text and "data:image/png;base64," in text
    assert "Train-test leakage" in text and "Suspicious labels" in text
    assert not re.search(r"(src|href)=\"?(https?:)?//", text) and "<script" not in text
    assert set(exploration.figures()) == {"classes", "lengths"}
    plt.close("all")
