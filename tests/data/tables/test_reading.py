"""Tables are read exactly: only an empty cell is missing, nothing is shifted or rounded, and warnings are complete."""

import gzip
import json
import warnings

import pandas as pd
import pytest

from kickbert.data.tables.reading import TableFile, read_rows

BIG = 2**60 + 1  # not exact as a float


@pytest.fixture
def table(tmp_path):
    """Write a file, and open it."""

    def opened(name: str, content: str | bytes, **options) -> TableFile:
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return TableFile(file, **options)

    return opened


def rows_of(table: TableFile, size: int | None = None) -> list[dict]:
    """The rows of all chunks, None for missing cells."""
    df = pd.concat(table.chunks(size))
    return df.astype(object).where(df.notna(), None).to_dict("records")


def test_rows_that_end_in_a_comma_are_not_shifted(table):
    opened = table("a.csv", "text,label\na film,good,\na bore,bad,\n")
    assert rows_of(opened) == [{"text": "a film", "label": "good"}, {"text": "a bore", "label": "bad"}]
    assert read_rows(opened.source)["label"].tolist() == ["good", "bad"] and not opened.skipped


def test_ragged_rows_are_skipped_and_named(table):
    content = 'text,label\nHello, world,1\n"open,1\n"x",2\n\nok,1\nshort\n"never,1\nlast,2\n'
    opened = table("a.csv", content)
    assert rows_of(opened) == [{"text": "ok", "label": "1"}, {"text": "short", "label": None}]
    skipped = " ".join(opened.skipped)
    assert "line 2: 3 cells where the header has 2: 'Hello, world,1'" in skipped and "lines 3 to 4: a quote" in skipped
    assert "lines 8 to 9: a quote is not closed" in skipped and "line 7 of a.csv: fewer cells" in opened.notes[0]
    assert opened.skipped_lines == 5
    with (
        pytest.warns(UserWarning, match=r"Skipped 5 lines of a\.csv: line 2: 3 cells"),
        pytest.warns(match="fewer"),
    ):
        read_rows(opened.source)
    with pytest.raises(ValueError, match=r"has no rows that can be read: line 2: 2 cells where the header has 1"):
        rows_of(table("a.csv", "text\nHello, world\n"))


@pytest.mark.parametrize("sep", [",", "\t"])
def test_a_header_that_comes_again_is_no_row(tmp_path, sep):
    part = "".join(f"{sep.join(cells)}\n" for cells in [("text", "label"), ("a lamp", "1"), ("a chair", "0")])
    (tmp_path / "all.csv").write_text(part * 3)
    with pytest.warns(UserWarning, match="Skipped lines 4, 7 of all.csv: the header again"):
        df = read_rows(tmp_path / "all.csv")
    assert len(df) == 6 and df["label"].dtype == "int64" and set(df["label"]) == {0, 1}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("word", ["lamp", "lámpara", "лампа"])
def test_utf16_without_a_mark(tmp_path, encoding, word):
    content = "text,label\n" + "".join(f"a {word} {i},{i % 2}\n" for i in range(40))
    (tmp_path / "t.csv").write_bytes(content.encode(encoding))
    (tmp_path / "t.txt").write_bytes(content.encode(encoding))
    with pytest.warns(UserWarning, match="utf-16"):
        assert read_rows(tmp_path / "t.csv")["text"][0] == f"a {word} 0"
        assert len(read_rows(tmp_path / "t.txt")) == 41


def test_only_an_empty_cell_is_missing(table):
    opened = table("a.csv", "text,label\nNone,NA\nnull,n/a\nnan,\n,x\n")
    as_chunks = rows_of(opened, 1)
    whole = read_rows(opened.source)
    assert as_chunks == whole.astype(object).where(whole.notna(), None).to_dict("records")
    assert [row["text"] for row in as_chunks] == ["None", "null", "nan", None]
    assert [row["label"] for row in as_chunks] == ["NA", "n/a", None, "x"]


def test_numbers_are_parsed_in_a_whole_file(table):
    opened = table("a.csv", f"text,n,money,zip,id,yes\n1,2,1.50,007,{BIG},True\n2,,2,08,,False\n")
    df = read_rows(opened.source, text_col=["text"])
    assert df["text"].tolist() == ["1", "2"] and df["money"].tolist() == [1.5, 2.0]
    assert df["n"].tolist() == [2, pd.NA] and df["zip"].tolist() == ["007", "08"] and df["yes"].dtype == bool
    assert df["id"].tolist()[0] == str(BIG)  # nineteen digits stay text
    assert read_rows(opened.source)["text"].dtype == "int64"


def test_json_lines_of_other_keys_and_large_numbers(table):
    rows = [
        {"text": "a", "id": BIG, "x": 1},
        {"x": 0.12345678901234567, "text": "b"},
        {"late": [1], "text": "c", "id": 7},
    ]
    lines = [*map(json.dumps, rows), "{cut", "[1]"]
    opened = table("a.jsonl", "\n".join(lines))
    chunks = list(opened.chunks(1))
    assert all(list(chunk.columns) == ["text", "id", "x", "late"] for chunk in chunks)
    assert len({tuple(chunk.dtypes) for chunk in chunks}) == 1
    df = pd.concat(chunks)
    assert df["id"].tolist() == [BIG, pd.NA, 7] and df["x"].tolist()[1] == rows[1]["x"]
    assert df["late"].tolist() == [None, None, [1]]
    assert [line[:6] for line in opened.skipped] == ["line 4", "line 5"]


def test_parquet_keeps_integers_beside_missing_cells(tmp_path):
    pytest.importorskip("pyarrow")
    ids, ordered = pd.array([BIG, None, 3], dtype="Int64"), pd.Categorical(["b", "a", "b"], ["b", "a"], ordered=True)
    pd.DataFrame({"text": list("abc"), "id": ids, "size": ordered}).to_parquet(tmp_path / "a.parquet")
    assert [row["id"] for row in rows_of(TableFile(tmp_path / "a.parquet"), 1)] == [BIG, None, 3]
    df = read_rows(tmp_path / "a.parquet")
    assert df["id"].tolist()[0] == BIG and df["size"].cat.categories.tolist() == ["b", "a"] and df["size"].cat.ordered


def test_notes_name_the_detected_encoding_and_separator(table):
    opened = table("a.csv", "Größe;text\n1;schön, wirklich\n".encode("latin-1"))
    assert rows_of(opened) == [{"Größe": "1", "text": "schön, wirklich"}]
    assert opened.notes == [
        "a.csv: detected encoding 'cp1252' (change it with encoding= or --encoding) and separator ';' (change it with "
        "sep= or --sep)"
    ]
    with pytest.warns(UserWarning, match="encoding 'cp1252'"):
        read_rows(opened.source)
    assert rows_of(TableFile(opened.source, "cp1250", ";"))[0]["text"] == "schön, wirklich"
    assert not TableFile(opened.source, "latin-1", ";").notes
    damaged = table("a.csv", "text\n" + "née\n" * 2 + "ok\n")
    damaged.source.write_bytes(damaged.source.read_bytes() + b"n\xc3e\n")
    damaged = TableFile(damaged.source)
    assert rows_of(damaged)[-1] == {"text": "n\ufffde"} and "UTF-8 except for line 5" in damaged.notes[0]


def test_plain_utf8_is_read_without_notes(table):
    opened = table("a.csv", "\ufefftext,label\nnée,1\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_rows(opened.source).columns.tolist() == ["text", "label"]


def test_one_text_per_line(table):
    opened = table("a.txt", "first, text\r\n\r\n  NA \n")
    assert rows_of(opened) == [{"text": "first, text"}, {"text": None}, {"text": "  NA "}]


def test_excel(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="the extra kickbert[excel] is not installed")
    book = openpyxl.Workbook()
    for row in ([], ["text", "n", None, "zip"], ["None", 1, None, "007"], [], ["a_x000D_\nb", None]):
        book.active.append(row)
    book.create_sheet("more")
    book.save(tmp_path / "a.xlsx")
    opened = TableFile(tmp_path / "a.xlsx")
    rows = [{"text": "None", "n": 1, "zip": "007"}, {"text": "a\r\nb", "n": None, "zip": None}]
    assert rows_of(opened, 1) == rows and "only the sheet 'Sheet' was read, and not 'more'" in opened.notes[0]
    with pytest.warns(UserWarning, match="only the sheet"):
        assert read_rows(tmp_path / "a.xlsx")["n"].dtype == "Int64"
    (tmp_path / "b.xlsx").write_text("no zip")
    with pytest.raises(ValueError, match=r"b\.xlsx cannot be read: File is not a zip file"):
        rows_of(TableFile(tmp_path / "b.xlsx"))


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz", "a.txt.gz"])
def test_a_truncated_file(table, name):
    lines = [f'{{"text": "{number} film"}}' for number in (i * 7919 % 1000 for i in range(2000))]
    content = gzip.compress("\n".join(["text", *lines]).encode())
    with pytest.raises(ValueError, match="is truncated, as after an interrupted download"):
        rows_of(table(name, content[:-200]))


def test_files_that_cannot_be_read(table, tmp_path):
    with pytest.raises(ValueError, match="File not found"):
        TableFile(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="sep='ab' must be one character"):
        table("a.csv", "text\n", sep="ab")
    with pytest.raises(ValueError, match="unknown encoding: latin-0"):
        table("a.csv", "text\n", encoding="latin-0")
    with pytest.raises(ValueError, match=r"is not in encoding 'utf-8' .*; choose another with encoding="):
        rows_of(table("a.csv", b"text\n\xe9\n", encoding="utf-8"))
    with pytest.raises(ValueError, match="cannot be read: it is empty"):
        rows_of(table("a.csv", ""))
    with pytest.raises(ValueError, match="has no rows"):
        read_rows(table("a.csv", "text\n").source)
    assert rows_of(table("a.csv", "a\tb\n1\t2\n", sep="tab")) == [{"a": "1", "b": "2"}]
