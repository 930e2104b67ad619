"""Distinctive words, languages, TF-IDF."""

import pytest

from kickbert.text.word_statistics import FEW, detect_languages, distinctive_words, tfidf_vectorizer

TEXTS = ["The soup was wonderful", "The soup was dreadful"] * 300


def test_distinctive_words_occur_in_one_class():
    table = distinctive_words(TEXTS, [["good"], ["bad"]] * 300).set_index("class")["words"]
    assert "wonderful" in table["good"].split(", ") and "dreadful" in table["bad"].split(", ")
    assert not any("soup" in words for words in table)
    assert distinctive_words(TEXTS, [["good"], ["bad"]] * 300, top=1)["words"].str.count(",").max() == 0


def test_a_word_counts_once_per_text_and_must_be_in_five():
    once = distinctive_words(["rare rare rare", *["soup"] * 20], [["good"], *[["bad"]] * 20])
    assert once["words"].str.contains("rare").sum() == 0


@pytest.mark.filterwarnings("error")
def test_a_single_frequent_word_is_not_distinctive():
    assert distinctive_words(["soup"] * 20, [["good"], ["bad"]] * 10)["words"].tolist() == ["", ""]


def test_languages_of_texts_that_are_long_enough():
    pytest.importorskip("py3langid", reason="the extra kickbert[report] is not installed")
    texts = [
        "Das ist ein langer deutscher Satz über das Wetter.",
        "Guten Tag",
        "Une phrase en français sur la pluie et le vent d'hiver.",
    ]
    assert detect_languages(texts) == ["de", "", "fr"]


def test_rare_words_are_used_only_with_few_rows():
    assert (tfidf_vectorizer(FEW - 1).min_df, tfidf_vectorizer(FEW).min_df) == (1, 2)
    assert "was dreadful" in tfidf_vectorizer(10).fit(TEXTS).vocabulary_
