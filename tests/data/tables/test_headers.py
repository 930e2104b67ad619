"""Separators and lines above the header are detected, and a header is never taken for a title."""

import pytest

from kickbert.data.tables.headers import delimiter_of_text, detect_layout, detect_separator


@pytest.mark.parametrize(
    ("lines", "ending", "separator"),
    [
        (["text,label", "a; b; c,1"], ".csv", ","),
        (["text;label", "a, b;1"], ".csv", ";"),
        (["text\tlabel", "a, b\t1"], ".csv", "\t"),
        (["text\tlabel, coarse", "a, b\t1"], ".tsv", "\t"),
        (["text,labels", "a,x|y", "b,x|y"], ".csv", ","),
        (["id;text, and title;label", "1;a, b, c;x", "2;c;y"], ".csv", ";"),
        (["text", "a; b"], ".csv", ","),
        ([], ".csv", ","),
    ],
)
def test_separators(lines, ending, separator):
    usual = "\t" if ending == ".tsv" else ","
    assert detect_separator([f"{line}\n" for line in lines], usual) == separator


TABLE = ["text,label,n", "a film,good,1", "a bore,bad,2"]


@pytest.mark.parametrize(
    ("above", "lines"),
    [
        (1, ["Our survey of May", *TABLE]),
        (1, ["Our survey,,", *TABLE]),
        (3, ["Our survey", "made by hand", "", *TABLE]),
        (2, ["Survey", "", *TABLE]),
        (2, ["Our survey, May", "", *TABLE]),
        (2, ["# a, b, c, and d", "#", *TABLE]),
        (1, ["sep=,", *TABLE]),
        (0, ["", "", *TABLE]),
        (0, TABLE),
        (0, ["#text,label,n", *TABLE[1:]]),
        (0, ["text", "Hello, world", "Bye, moon"]),
        (0, ["what they said", "Hello, world", "Bye, moon"]),
        (0, ["what they said", "Hello", "Bye"]),
        (0, ["text,label", "a,b,c", "d,e,f"]),
        (0, ["text,label", "", "a,b", "c,d"]),
        (0, []),
    ],
)
def test_lines_above_the_header(above, lines):
    assert detect_layout([f"{line}\n" for line in lines], ",", None) == (",", above)


def test_a_title_does_not_hide_the_separator():
    assert detect_layout(["Our survey\n", "text;label\n", "a, b;c\n"], ",", None) == (";", 1)
    assert detect_layout(["sep=|\n", "text|label, coarse\n"], ",", None) == ("|", 1)
    assert detect_layout(["sep=|\n", "text;label\n"], ",", ";") == (";", 1)


@pytest.mark.parametrize(
    ("lines", "separator"),
    [
        (["text\tlabel", "a film\tgood"], "\t"),
        (["text;label", '"a; film";good'], ";"),
        (["text,label", "Hello, world", "a,b"] + ["x,y"] * 20, ","),
        (["Hello, world", "Bye, moon"], None),
        (["a film, and warm", "text,label"], None),
        (["text", "a film"], None),
        ([], None),
    ],
)
def test_a_text_file_that_is_a_table(lines, separator):
    assert delimiter_of_text([f"{line}\n" for line in lines]) == separator
