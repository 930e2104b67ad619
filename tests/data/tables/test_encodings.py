"""Encodings of text files are detected."""

import gzip

import pytest

from kickbert.data.tables.encodings import detect_encoding


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


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["a film", "Größe", "Хороший тёплый фильм", "这部电影很好看", "一一一"])
def test_wide_encodings_without_a_mark(tmp_path, encoding, text):
    file = tmp_path / "in.csv"
    file.write_bytes("".join(f"{text},{i}\n" for i in range(40)).encode(encoding))
    assert detect_encoding(file) == (encoding, [])


def test_a_few_nul_characters_are_no_wide_encoding(tmp_path):
    file = tmp_path / "in.csv"
    file.write_bytes(b"text,label\na\0 film,good\nanother\0\0\0\n\n")
    assert detect_encoding(file) == ("utf-8", [])
