"""Encodings and separators are detected; columns of text become numbers only where nothing is lost."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from kickbert.data.table_formats import (
    column_names,
    column_type,
    detect_encoding,
    detect_separator,
    parse_column,
    table_kind,
)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("a plain film", "utf-8"),
        ("Größe, naïve, 日本", "utf-8"),
        ("Größe", "utf-16"),
        ("El niño comió mañana", "cp1252"),
        ("naïve", "cp1252"),
        ("Größe – schön für 5 €", "cp1252"),
        ("Dobrý film, žluťoučký kůň", "cp1250"),
        ("Хороший тёплый фильм", "cp1251"),
        ("とても良い映画でした。面白い", "shift_jis"),
        ("这部电影很好看，我很喜欢", "gb18030"),
    ],
)
def test_encodings(tmp_path, text, encoding):
    file = tmp_path / "in.csv"
    file.write_bytes((text + "\n").encode(encoding) * 3)
    assert detect_encoding(file) == (encoding, [])
    packed = tmp_path / "in.csv.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert detect_encoding(packed) == (encoding, [])


def test_a_damaged_line_does_not_change_the_encoding_of_the_others(tmp_path):
    file = tmp_path / "in.csv"
    file.write_bytes("née\n".encode() * 3 + b"plain\n" + b"n\xc3e\n")
    assert detect_encoding(file) == ("utf-8", [5])
    file.write_bytes(b"\x1f\x8b\x08\x00\xff\n")
    with pytest.raises(ValueError, match="bytes that no text has"):
        detect_encoding(file)


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


def test_kinds():
    assert [table_kind(Path(f"a{e}")) for e in (".CSV", ".tsv.gz", ".jsonl", ".txt", ".parquet", ".xlsx")] == [
        "csv", "csv", "jsonl", "txt", "parquet", "excel"]  # fmt: skip
    with pytest.raises(ValueError, match=r"ends in '\.xls'; known are \['\.csv'"):
        table_kind(Path("a.xls"))
    with pytest.raises(ValueError, match="known are"):
        table_kind(Path("a.txt"), ("csv",))


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "-20", None], "Int64"),
        (["1", "2.50", None, "1e3"], "float64"),
        (["True", "False", None], "boolean"),
        (["007", "8"], None),
        (["1234567890123456789", "1"], None),  # nineteen digits
        (["12345678901234567", "0.5"], None),  # a float would round it
        (["1", "NA"], None),
        (["1,000"], None),
        ([None, None], None),
    ],
)
def test_columns_of_text_become_numbers_where_nothing_is_lost(cells, dtype):
    column = pd.Series(cells, dtype=str)
    assert parse_column(column).dtype == (dtype or column.dtype)


def test_types_hold_cells_exactly():
    assert column_type({"integer", "Int64", "missing"}) == "Int64"
    assert column_type({"Int64", "float"}) == column_type({"integer", "boolean"}) == column_type(set()) == "object"


def test_each_column_has_a_name_of_its_own():
    assert column_names(["a", "a", "a.1", "", ""]) == ["a", "a.2", "a.1", "Unnamed: 3", "Unnamed: 4"]
