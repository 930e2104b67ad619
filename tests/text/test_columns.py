import numpy as np
import pandas as pd
import pytest

from kickbert.text.cleaning import Cleaner
from kickbert.text.columns import check_frame, read_items, read_texts
from kickbert.text.tokenization import SEP
from kickbert.utils.messages import row_names


def test_the_error_of_a_missing_column_suggests_a_name():
    df = pd.DataFrame({"text": ["a"], "label": ["b"]})
    with pytest.raises(
        ValueError,
        match=r"text_col='txt' is not a column of df; columns are \['text', 'label'\]. Did you mean 'text'\?",
    ):
        check_frame(df, text_col=["txt"])
    with pytest.raises(ValueError, match=r"columns are \['text', 'label'\]$"):
        check_frame(df, text_col=["zzz"])


def test_invalid_and_empty_dataframes():
    with pytest.raises(TypeError, match="df must be a pandas DataFrame, not list"):
        check_frame([1], text_col=["text"])
    with pytest.raises(ValueError, match="df has no rows"):
        check_frame(pd.DataFrame({"text": []}), text_col=["text"])


def test_a_row_is_missing_only_if_all_columns_are():
    df = pd.DataFrame({"a": ["x", None, None], "b": ["y", "z", np.nan]})
    texts, missing = read_texts(df, ["a", "b"])
    assert texts == [f"x{SEP}y", f"{SEP}z", SEP] and missing.tolist() == [False, False, True]


def test_whitespace_counts_as_missing_text():
    assert read_items(["a", "", " \n\t", "\u3000"], ["text"])[1].tolist() == [False, True, True, True]
    rows = [{"a": " ", "b": ""}, {"a": "", "b": "x"}, (" ", " ")]
    assert read_items(rows, ["a", "b"])[1].tolist() == [True, False, True]
    assert read_items(["<br>", "<b>a</b>"], ["text"], Cleaner(["remove_html"]))[1].tolist() == [True, False]


def test_cells_that_are_not_strings_are_counted():
    df = pd.DataFrame({"text": ["x", 7, 2.5, None]}, dtype=object)
    with pytest.warns(UserWarning, match=r"2 cells of \['text'\] not of type str"):
        texts, missing = read_texts(df, "text")
    assert texts == ["x", "7", "2.5", ""] and missing.tolist() == [False, False, False, True]


def test_a_numeric_column_is_read_as_text():
    with pytest.warns(UserWarning, match="3 cells"):
        assert read_texts(pd.DataFrame({"text": [1, 2, 3]}), "text")[0] == ["1", "2", "3"]


def test_broken_and_non_latin_characters():
    df = pd.DataFrame({"text": ["a\ud800b", "\x00", "مرحبا", "👩🏽‍🚀", f"a{SEP}b"]}, dtype=object)
    texts, _ = read_texts(df, "text")
    assert texts[0] == "a?b" and texts[1:4] == ["\x00", "مرحبا", "👩🏽‍🚀"]


def test_at_most_five_rows_are_listed():
    assert row_names(np.array([True] * 7), pd.Index(list("abcdefg"))) == "['a', 'b', 'c', 'd', 'e'] and 2 more"
