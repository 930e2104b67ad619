"""Facts about texts and labels, each on rows that were made to have it."""

import numpy as np
import pandas as pd
import pytest

from kickbert.data.profiling import class_counts, label_names, languages, missing, suspicious_labels, truncated
from kickbert.targets.kinds import MULTI, SINGLE


def test_missing_cells_by_column():
    table = missing(pd.DataFrame({"a": [1, None, None, 4], "b": [1, 2, 3, 4], 7: [None, "x", "y", "z"]}))
    assert table.to_dict("list") == {"column": ["a", "7"], "missing": [2, 1], "share": [0.5, 0.25]}


def test_the_share_that_each_max_length_truncates():
    table = truncated(np.array([2, 4, 4, 10]), (3, 4, 16))
    assert table["share truncated"].tolist() == [0.75, 0.25, 0] and table["median"].tolist() == [4, 4, 4]


def test_languages_are_told_apart():
    pytest.importorskip("py3langid")
    texts = ["Das ist ein ziemlich langer deutscher Satz über das Wetter."] * 2
    texts += ["Ceci est une phrase assez longue en français sur la pluie.", " "]
    table = languages(texts)
    assert dict(zip(table["language"], table["rows"], strict=True)) == {"de": 2, "fr": 1}
    assert table["share"].sum() == pytest.approx(1)


def test_labels_of_a_row_as_text():
    assert label_names(pd.Series([1, None, 2], dtype=object), SINGLE, None) == [["1"], [], ["2"]]
    assert label_names(pd.Series(["p|q", "p"]), MULTI, "|") == [["p", "q"], ["p"]]
    assert label_names(pd.DataFrame({"p": [1, 0], "q": [1, 0]}), MULTI, None) == [["p", "q"], []]


def test_classes_are_counted_the_largest_first():
    table = class_counts([["a"], ["b"], ["b"], []])
    assert table.to_dict("list") == {"class": ["b", "a"], "rows": [2, 1], "share": [0.5, 0.25]}


def test_a_wrong_label_is_suspected_and_the_right_one_suggested():
    pytest.importorskip("cleanlab")
    texts = [f"{word} soup number {i % 7}" for i, word in enumerate(["warm", "cold"] * 40)]
    labels = pd.Series(["good", "bad"] * 40, index=range(100, 180))
    labels[110] = "bad"
    table = suspicious_labels(labels.index, texts, labels)
    assert table.iloc[0][["row", "label", "suggested"]].tolist() == [110, "bad", "good"]
    assert table["probability of label"].iloc[0] < 0.5


def test_one_class_or_few_rows_have_no_suspicious_labels():
    pytest.importorskip("cleanlab")
    labels = pd.Series(["a"] * 8 + ["b"] * 2 + [None])
    assert len(suspicious_labels(labels.index, ["text"] * 11, labels)) == 0
