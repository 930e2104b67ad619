"""Folders of Parquet files as one table: what belongs to it, the columns that its files have between them."""

import pandas as pd
import pytest

from kickbert.inference.table_folders import TableFolder

pa = pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
pq = pytest.importorskip("pyarrow.parquet")


def folder_of(tmp_path, **files) -> TableFolder:
    for name, columns in files.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    return TableFolder(tmp_path)


def test_what_belongs_to_a_table(table):
    (table / "_SUCCESS").touch()
    (table / ".hidden").mkdir()
    pd.DataFrame({"text": ["a"]}).to_parquet(table / ".hidden" / "c.parquet")
    (table / "notes.csv").write_text("text\na\n")
    found = TableFolder(table)
    assert [(part.name, part.rows) for part in found.parts] == [("a.parquet", 70), ("year=2024/b.parquet", 30)]
    assert found.rows == 100 and found.names == ["id", "text"]
    assert found.notes == ["files that are not .parquet were left out: notes.csv"]
    spans = [(part.file, part.start, part.stop) for part in found.partitions(40)]
    assert spans == [("a.parquet", 0, 40), ("a.parquet", 40, 70), ("year=2024/b.parquet", 0, 30)]
    one = TableFolder(table / "a.parquet")
    assert [part.name for part in one.parts] == ["a.parquet"] and one.folder == table


def test_digests_follow_the_content(table):
    before = TableFolder(table).digests()
    (table / "a.parquet").touch()
    assert TableFolder(table).digests() == before
    pd.DataFrame({"id": [1], "text": ["a"]}).to_parquet(table / "a.parquet")
    after = TableFolder(table).digests()
    assert after["a.parquet"] != before["a.parquet"] and len(after) == 2


def test_files_of_different_columns_are_one_table(tmp_path):
    words = pa.array(["x", "y"]).dictionary_encode()
    table = folder_of(
        tmp_path,
        a={"text": ["a"], "n": pa.array([1], pa.int32()), "k": ["x"]},
        b={"text": words, "n": pa.array([2.5, None]), "k": words},
        c={"text": ["a"], "late": [[1]]},
    )
    table.check_texts(["text"])
    assert not table.notes
    schema = table.schema(table.names)
    assert {column.name: str(column.type) for column in schema} == {
        "text": "string", "n": "double", "k": "string", "late": "list<element: int64>",
    }  # fmt: skip
    assert table.notes == [
        "column 'n' is int32 in a.parquet, double in b.parquet; it is written as double",
        "column 'n' is missing, and its cells are written as missing, in c.parquet",
        "column 'k' is missing, and its cells are written as missing, in c.parquet",
        "column 'late' is missing, and its cells are written as missing, in a.parquet, b.parquet",
    ]


def test_columns_that_do_not_go_together(tmp_path):
    table = folder_of(tmp_path, a={"text": ["a"], "n": [1]}, b={"text": ["a"], "n": ["one"]}, c={"txet": ["a"]})
    with pytest.raises(ValueError, match=r"'n' is int64 in a\.parquet and string in b\.parquet; .* --keep"):
        table.schema(["n"])
    with pytest.raises(ValueError, match=r"c\.parquet has no column 'text'; it has \['txet'\]. Did you mean 'txet'"):
        table.check_texts(["text"])
    with pytest.raises(ValueError, match=r"no file has a column 'm'; they have \['text', 'n', 'txet'\]"):
        table.schema(["m"])


def test_what_is_no_text_is_noted(tmp_path):
    table = folder_of(tmp_path, a={"text": ["a"]}, b={"text": [1]}, c={"text": pa.nulls(1)})
    table.check_texts(["text"])
    assert table.notes == ["text column 'text' is int64 in b.parquet; its cells are read as str() writes them"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text\n", r"has no files that end in \.parquet; it has \['a\.csv'\]"),
        ("a.parquet", b"PAR1 and nonsense", r"a\.parquet cannot be read"),
    ],
)
def test_what_is_no_table(tmp_path, name, content, message):
    with pytest.raises(ValueError, match="is no folder or file here"):
        TableFolder(tmp_path / "none")
    with pytest.raises(ValueError, match=r"it has none at all"):
        TableFolder(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        TableFolder(tmp_path)


def test_a_table_has_rows_and_each_column_once(tmp_path):
    pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="several columns 'text'"):
        TableFolder(tmp_path)
    with pytest.raises(ValueError, match="has no rows"):
        folder_of(tmp_path, a={"text": pa.array([], pa.string())})
