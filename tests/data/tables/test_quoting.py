"""Quotes within cells are read whether they are written twice or with a backslash; swallowed rows are named."""

import pytest

from kickbert.data.tables.reading import read_rows


def written(folder, lines):
    file = folder / "rows.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_quotes_escaped_with_backslashes(tmp_path):
    lines = ["text,label", r'"He said \"hi\", then left",good', r'"it ends \"so\"",bad', "plain,good", r'"a \"b\"",bad']
    with pytest.warns(UserWarning, match="detected quotes that are escaped with a backslash"):
        df = read_rows(written(tmp_path, lines))
    assert df["text"].tolist() == ['He said "hi", then left', 'it ends "so"', "plain", 'a "b"']
    assert df["label"].tolist() == ["good", "bad", "good", "bad"]


def test_a_folder_that_ends_with_a_backslash_escapes_nothing(tmp_path):
    lines = ["folder,label", '"C:\\films\\",good', '"D:\\",bad', '"say ""hi""",good']
    assert read_rows(written(tmp_path, lines))["folder"].tolist() == ["C:\\films\\", "D:\\", 'say "hi"']


def test_an_escaped_quote_swallows_no_rows(tmp_path):
    lines = [
        "id,text,label",
        r'1,"it ends so \"",bad',
        "2,plain,good",
        "3,other,good",
        '4,a screen of 5",bad',
        "5,x,bad",
    ]
    with pytest.warns(UserWarning, match="escaped with a backslash"):
        df = read_rows(written(tmp_path, lines))
    assert df["id"].tolist() == [1, 2, 3, 4, 5] and df["text"][3] == 'a screen of 5"'


def test_rows_that_a_quote_swallows_are_named(tmp_path):
    lines = ["id,text,label", "1,plain,good", '2,"a screen,bad', "3,plain,good", "4,other,bad", '5,x",good', "6,y,bad"]
    with pytest.warns(UserWarning, match="lines 3 to 6 of rows.csv were read as one row, because a quote opens"):
        assert len(read_rows(written(tmp_path, lines))) == 3
