"""Tables about texts and labels, on constructed rows."""

import numpy as np
import pandas as pd
import pytest
from conftest import SHARED

from kickbert.data.profiling import class_counts, label_names, languages, missing, suspicious_labels, truncated
from kickbert.targets.labels import Labels
from kickbert.targets.multi_labels import MultiLabels


def test_missing_cells_by_column():
    table = missing(pd.DataFrame({"a": [1, None, None, 4], "b": [1, 2, 3, 4], 7: [None, "x", "y", "z"]}))
    assert table.to_dict("list") == {"column": ["a", "7"], "missing": [2, 1], "share": [0.5, 0.25]}


def test_share_of_texts_that_each_max_length_truncates():
    table = truncated(np.array([2, 4, 4, 10]), (3, 4, 16))
    assert table["share truncated"].tolist() == [0.75, 0.25, 0] and table["median"].tolist() == [4, 4, 4]


def test_languages_are_detected():
    pytest.importorskip("py3langid")
    texts = ["Das ist ein ziemlich langer deutscher Satz über das Wetter."] * 2
    texts += ["Ceci est une phrase assez longue en français sur la pluie.", " "]
    table = languages(texts)
    assert dict(zip(table["language"], table["rows"], strict=True)) == {"de": 2, "fr": 1}
    assert table["share"].sum() == pytest.approx(1)
    many = languages(texts[:1] * 99 + texts[2:3])
    assert many.to_dict("list") == {"language": ["de", "other"], "rows": [99, 1], "share": [0.99, 0.01]}
    assert languages(["short", "kurz", texts[0]]).empty  # most are too short to tell


def test_labels_of_a_row_as_text():
    assert label_names(pd.Series([1, None, 2], dtype=object), Labels, None) == [["1"], [], ["2"]]
    assert label_names(pd.Series(["p|q", "p"]), MultiLabels, "|") == [["p", "q"], ["p"]]
    assert label_names(pd.DataFrame({"p": [1, 0], "q": [1, 0]}), MultiLabels, None) == [["p", "q"], []]


def test_classes_are_sorted_by_frequency():
    table = class_counts([["a"], ["b"], ["b"], []])
    assert table.to_dict("list") == {"class": ["b", "a"], "rows": [2, 1], "share": [0.5, 0.25]}


def test_a_wrong_label_is_flagged_and_the_right_one_suggested():
    texts = [f"{word} soup number {i % 7}" for i, word in enumerate(["warm", "cold"] * 40)]
    labels = pd.Series(["good", "bad"] * 40, index=range(100, 180))
    labels[110] = "bad"
    table = suspicious_labels(labels.index, texts, labels, below=0.5)
    assert table[["row", "label", "suggested"]].to_numpy().tolist() == [[110, "bad", "good"]]
    assert table["probability of label"].iloc[0] < 0.25
    assert len(suspicious_labels(labels.index, texts, labels, below=0)) == 0


def test_one_class_or_few_rows_have_no_suspicious_labels():
    labels = pd.Series(["a"] * 8 + ["b"] * 2 + [None])
    assert len(suspicious_labels(labels.index, ["text"] * 11, labels)) == 0


@pytest.mark.system
@pytest.mark.parametrize("name, rows, max_share", [("ag_news", 4_000, 0.025), ("sst2", 300, 0.01)])
def test_most_flagged_labels_are_wrong_and_few_clean_labels_are_flagged(name, rows, max_share):
    file = SHARED / "data" / f"{name}.csv.gz"
    if not file.exists():
        pytest.skip(f"the real {name} is not available")
    df = pd.read_csv(file).drop_duplicates("text").sample(rows, random_state=0)
    texts, labels = df["text"].tolist(), df["label"].astype(str)
    assert len(suspicious_labels(df.index, texts, labels)) <= max_share * rows
    wrong, names, rng = df.sample(frac=0.05, random_state=1).index, set(labels), np.random.default_rng(0)
    labels[wrong] = [rng.choice(sorted(names - {label})) for label in labels[wrong]]
    flagged = suspicious_labels(df.index, texts, labels)["row"]
    assert flagged.isin(wrong).sum() >= len(flagged) * 2 / 3
    assert name == "sst2" or len(flagged) >= 0.01 * rows
