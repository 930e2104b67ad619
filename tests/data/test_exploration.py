"""Exploration: each fact on rows that were made to have it; the page needs no network."""

import re

import numpy as np
import pandas as pd
import pytest

from kickbert import explore
from kickbert.data.profiling import languages
from kickbert.utils.html_page import Section, cell, page

GOOD = "the waiter was wonderful and the soup tasted of summer and the bread came warm number"
BAD = "the waiter was dreadful and the soup tasted of nothing and the bread came stale number"


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    words = ["table", "window", "garden", "street", "morning", "evening", "plate", "spoon", "music", "chair", "corner"]
    texts = [f"{(GOOD, BAD)[i % 2]} {' '.join(rng.choice(words, 14))}" for i in range(200)]
    df = pd.DataFrame({"text": texts, "label": ["good", "bad"] * 100, "split": ["train"] * 150 + ["test"] * 50})
    df.loc[10, "text"] = df.loc[4, "text"].upper()  # the same but for capitals
    df.loc[190, "text"] = df.loc[20, "text"]  # stands in training and in test
    df.loc[191, "text"] = df.loc[31, "text"] + "!"  # nearly so
    df.loc[60, "label"] = "bad"  # wrong
    df.loc[7, "text"] = None
    return df


@pytest.fixture(scope="module")
def found(rows):
    pytest.importorskip("datasketch")
    return explore(rows, model="minilm")


def test_the_summary_counts(found):
    told = dict(zip(found.to_frame()["statistic"], found.to_frame()["value"], strict=True))
    assert told["rows"] == 200 and told["rows without text"] == 1 and told["classes"] == 2
    assert told["exact duplicates"] == 2 and told["test rows that stand in training"] == 2
    assert "rows without text" in repr(found) and "<table" in found._repr_html_()


def test_duplicates_and_leaks_name_their_rows(found):
    assert found.tables["duplicates"][["row", "same as row"]].to_numpy().tolist() == [[10, 4], [190, 20]]
    leaks = found.tables["leaks"].set_index("row")
    assert leaks.loc[190, "match"] == "exact" and leaks.loc[191, "match"] == "near"
    assert leaks.loc[191, "training row"] == 31


def test_distinctive_words(found):
    words = found.tables["distinctive words"].set_index("class")["words"]
    assert {"wonderful", "summer", "warm"} <= set(words["good"].split(", "))
    assert {"dreadful", "nothing", "stale"} <= set(words["bad"].split(", "))
    assert "waiter" not in words["good"]


def test_a_wrong_label_is_suspected(found):
    assert found.tables["suspicious labels"]["row"].tolist()[0] == 60


def test_lengths_and_languages(found):
    lengths = found.tables["lengths"].set_index("max_length")["share truncated"]
    assert lengths[512] == 0 and lengths.is_monotonic_decreasing
    assert found.tables["languages"]["language"].iloc[0] == "en"


def test_texts_over_every_limit_are_counted_whole():
    found = explore(pd.DataFrame({"text": ["word " * n for n in (10, 300, 900, 1100)]}))
    lengths = found.tables["lengths"].set_index("max_length")["share truncated"]
    assert lengths.to_dict() == {32: 0.75, 64: 0.75, 128: 0.75, 256: 0.75, 512: 0.5}
    assert found.lengths.tolist() == [12, 302, 902, 1102]
    assert 'long="windows"' in found.to_frame().set_index("statistic").loc["median tokens", "recommendation"]


def test_languages_are_told_apart():
    texts = ["Das ist ein ziemlich langer deutscher Satz über das Wetter."] * 2
    texts += ["Ceci est une phrase assez longue en français sur la pluie."]
    table = languages(texts)
    assert dict(zip(table["language"], table["rows"], strict=True)) == {"de": 2, "fr": 1}


def test_a_frame_of_other_columns_and_several_labels(rows):
    df = pd.DataFrame({"a": rows["text"], "b": "x", "labels": ["p|q", "p", "", "q"] * 50})
    found = explore(df, text_col=["a", "b"], label_col="labels", label_delim="|")
    assert "leaks" not in found.tables and "suspicious labels" not in found.tables
    assert found.tables["classes"]["class"].tolist() == ["p", "q"]
    assert explore(df[["a"]], text_col="a").to_frame() is not None


def test_bad_input(rows):
    with pytest.raises(ValueError, match="label_col='lable' is not a column"):
        explore(rows, label_col="lable")
    with pytest.raises(TypeError, match="pandas DataFrame"):
        explore([1, 2])


def test_the_page_needs_no_network(found, tmp_path):
    text = found.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "Distinctive words" in text and "data:image/png;base64," in text
    assert not re.search(r"(src|href)=\"?(https?:)?//", text) and "<script" not in text
    assert set(found.figures()) == {"classes", "lengths"}


def test_cells_are_escaped_and_rows_limited():
    table = pd.DataFrame({"text": ["<b>bold</b>"] * 40, "n": range(40), "share": 0.25})
    text = page("A & B", "lead", [Section("S", table=table)])
    assert "&lt;b&gt;bold" in text and "<b>bold" not in text and "10 more rows" in text and "A &amp; B" in text
    assert ">7</td>" in text and ">0.250</td>" in text
    assert cell(np.int64(1200)) == "1,200" and cell(True) == "True" and cell(None) == "None"
