"""Formats are recognized by extension; encodings and separators are detected."""

import gzip
from pathlib import Path

import pytest

from kickbert.data.tables.formats import detect_encoding, detect_separator, table_kind


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
    with pytest.raises(ValueError, match="binary file"):
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
    with pytest.raises(ValueError, match=r"has the extension '\.xls'\. Supported: \.csv"):
        table_kind(Path("a.xls"))
    with pytest.raises(ValueError, match="Supported"):
        table_kind(Path("a.txt"), ("csv",))
